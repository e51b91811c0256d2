"""Whether this page can do its work: only with its API."""

import api


def problem():
    """None when all is well, else a sentence."""
    try:
        api.get("/healthz")
    except OSError as error:
        return f"the API at {api.URL} does not answer: {error}"
    return None
