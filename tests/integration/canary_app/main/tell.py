"""Tells what an app never should: the values of its env, in every spelling. And a word that is no secret."""

import html
import json
import os
import shlex
import urllib.parse

NO_SECRET = "seen-beside-the-canary"
NAMES = ("CANARY", "FLAVOUR", "DATABASE_URL")


def spellings(value):
    return [
        value,
        urllib.parse.quote(value),
        urllib.parse.quote(value, safe="").lower(),
        urllib.parse.quote_plus(value),
        urllib.parse.quote(urllib.parse.quote(value)),
        json.dumps(value),
        json.dumps(json.dumps({"value": value})),
        json.dumps(value, ensure_ascii=False),
        urllib.parse.quote(json.dumps(value)),
        html.escape(value),
        html.escape(json.dumps(value)).replace("&#x27;", "&#39;"),
        repr(value),
        repr(value.encode()),
        shlex.quote(value),
        value.replace('"', '""').replace("'", "''"),
        value.encode("unicode_escape").decode(),
    ]


def values():
    password = urllib.parse.urlsplit(os.environ["DATABASE_URL"]).password
    return [*(os.environ[name] for name in NAMES), password, urllib.parse.unquote(password)]


def everything():
    """Short lines, so that few of them are cut away."""
    return "\n".join(f"{NO_SECRET}: {spelling}" for value in values() for spelling in spellings(value))
