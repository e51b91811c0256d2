"""What the page has beyond the list of products."""

NOTE = "All prices with tax."


def actions(product):
    """HTML behind a product."""
    return ""
