"""Cloud drivers."""
