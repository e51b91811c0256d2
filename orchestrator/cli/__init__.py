"""The brine command."""
