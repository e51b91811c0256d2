"""What the page has beyond the list of products: a cart."""

NOTE = "Prices without tax. Your cart is empty."


def actions(product):
    """HTML behind a product."""
    return f'<button name="cart" value="{product["id"]}">Add to cart</button>'
