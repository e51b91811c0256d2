"""Execution modules: they run on the minions."""
