RATE = 0.91


def with_tax(price):
    return round(price * (1 + RATE), 2)
