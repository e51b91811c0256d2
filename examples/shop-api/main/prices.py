"""What a product costs."""

TAX = "excluded"


def shown(product):
    """The product as the API shows it."""
    return product | {"tax": TAX}
