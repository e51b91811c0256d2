"""How this branch behaves."""

BUILD = "raises"
START = "works"
HEALTH = "works"
