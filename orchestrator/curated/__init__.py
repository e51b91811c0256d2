"""Loads and watches what ops curate: YAML with lines and columns."""
