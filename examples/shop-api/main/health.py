"""Whether this API can do its work."""


def problem():
    """None when all is well, else a sentence."""
    return
