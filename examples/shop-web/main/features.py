"""What the page has beyond the list of products."""

NOTE = "Prices without tax."


def actions(product):
    """HTML behind a product."""
    return ""
