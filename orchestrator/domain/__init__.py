"""Plain data and pure decisions. Knows nothing of Salt, databases, HTTP or the clock."""
