"""The migrations, oldest first; a released one never changes."""
