"""How this branch behaves."""

BUILD = "works"
START = "works"
HEALTH = "page"
