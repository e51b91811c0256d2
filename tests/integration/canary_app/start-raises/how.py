"""How this branch behaves."""

BUILD = "works"
START = "raises"
HEALTH = "works"
