"""How this branch behaves."""

BUILD = "prints"
START = "works"
HEALTH = "works"
