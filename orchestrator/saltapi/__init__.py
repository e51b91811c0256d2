"""Salt as the inside sees it: submit, look up, follow events, all through salt-api."""
