"""Whether this API can do its work."""


def problem():
    """None when all is well, else a sentence."""
    return "the product table has schema 3, but this version needs schema 4: run the migration first"
