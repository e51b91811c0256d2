"""Alembic: `env.py` runs what is in `versions/`."""
