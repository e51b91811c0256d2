"""How this branch behaves."""

BUILD = "spoils"
START = "works"
HEALTH = "works"
