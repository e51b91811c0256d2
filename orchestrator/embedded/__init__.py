"""The embedded stack: renders the Salt configuration and supervises real Salt processes."""
