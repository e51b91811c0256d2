"""How this branch behaves."""

BUILD = "waits"
START = "works"
HEALTH = "works"
