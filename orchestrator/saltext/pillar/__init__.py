"""External pillars: they run on the master."""
