"""Brinepool: short-lived, wired development environments from chat, on Salt."""
