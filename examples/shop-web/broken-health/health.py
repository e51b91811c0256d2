"""Whether this page can do its work."""


def problem():
    """None when all is well, else a sentence."""
    return "the template cache cannot be filled: file themes/summer.html not found"
