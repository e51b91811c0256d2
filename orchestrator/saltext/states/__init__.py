"""State modules: they run on the minions."""
