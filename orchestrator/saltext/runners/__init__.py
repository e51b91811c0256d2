"""Runner modules: they run on the master."""
