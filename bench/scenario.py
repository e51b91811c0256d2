"""What everybody in the bench is asked for, so that all make the same thing."""

TEMPLATE = "shop"
BRANCHES = {"api": "main", "web": "feature/cart"}  # what `create shop feature/cart` means
BRANCH = BRANCHES["web"]
COUNTS = {"api": 1, "web": 2}
STATES = 8  # of a highstate; fewer would mean that somebody did less

# Deploys go around these; a round has four, so in three rounds everybody makes each of the three switches.
DEPLOY_ROLE = "web"
DEPLOY_BRANCHES = ("main", "feature/tax", "feature/cart")


def servers(environment: str) -> dict[str, str]:
    """The servers of an environment: name → role."""
    return {f"{environment}-{role}-{n}": role for role, count in COUNTS.items() for n in range(1, count + 1)}
