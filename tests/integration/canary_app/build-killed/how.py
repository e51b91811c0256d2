"""How this branch behaves."""

BUILD = "killed"
START = "works"
HEALTH = "works"
