"""How this branch behaves."""

BUILD = "shells"
START = "works"
HEALTH = "works"
