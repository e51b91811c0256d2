"""Masking: no spelling of a secret survives, and what a person needs to read does."""

import html
import json
import re
import shlex
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.masking import HARMLESS, MASK, SHORTEST, Masker, is_secret, mask_secrets_in

SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST, max_size=40).filter(
    lambda text: text.lower() not in HARMLESS and not set(text) <= set("*")
)
SPELLINGS = [
    str,
    quote,
    quote_plus,
    html.escape,
    lambda text: quote(text, safe=""),
    lambda text: json.dumps(text),
    lambda text: json.dumps({"key": text}, ensure_ascii=False),
    lambda text: repr(text),
    lambda text: "+ echo '" + text.replace("'", "'\\''") + "'",
    shlex.quote,
    lambda text: re.sub(r"([^\w])", r"\\\1", text),  # printf %q
    lambda text: re.sub(
        "[^0-9A-Za-z]", lambda found: "".join(f"\\{byte:03o}" for byte in found[0].encode()), text
    ),  # git
    lambda text: quote(text, safe="!'()*"),  # encodeURIComponent
    lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text)),
    lambda text: quote(quote(text, safe=""), safe=""),
    lambda text: quote(json.dumps(text)),
    lambda text: json.dumps(json.dumps(json.dumps({"key": text}))),
    lambda text: json.dumps(quote_plus(text)),
    lambda text: json.dumps(text).replace("/", "\\/"),  # PHP
    lambda text: re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False)),  # Go
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),  # Jinja
    lambda text: html.escape(html.escape(text)),
    lambda text: repr(text.encode()),
    lambda text: '"' + text.replace('"', '""') + '"',  # CSV
    lambda text: "'" + text.replace("'", "''") + "'",  # SQL, YAML
    lambda text: text.replace("$", "$$"),  # make
]


@given(SECRETS, st.sampled_from(SPELLINGS))
def test_every_spelling_is_masked(secret, spell):
    masked = Masker([secret]).text(f"<{spell(secret)}>")
    assert MASK in masked
    assert secret not in masked.replace(MASK, "")


def test_a_text_of_nothing_but_escapes_takes_no_long_time():
    masker = Masker(["\\x'\"y/\u00e9 z", "//$$%%", "'\\''"])
    for piece in ("\\", "%25", "&amp;", "'", "\\'", "%", "\\x27", "&#0", '"', "$"):
        began = time.monotonic()
        masker.text(piece * (256 * 1024 // len(piece)))
        assert time.monotonic() - began < 5


@given(SECRETS, st.lists(st.sampled_from([json.dumps, quote, quote_plus, html.escape]), min_size=2, max_size=3))
def test_a_spelling_of_a_spelling_is_masked(secret, spellings):
    """A URL in JSON, JSON in HTML, and so on."""
    text = secret
    for spell in spellings:
        text = spell(text)
    assert MASK in Masker([secret]).text(f"<{text}>"), text


@given(st.lists(SECRETS, min_size=1, max_size=5), st.data())
def test_nothing_survives_in_nested_data(secrets, data):
    leaf = st.sampled_from(secrets).map(lambda secret: f"a {secret} b")
    shape = data.draw(st.recursive(leaf, lambda inner: st.lists(inner) | st.dictionaries(leaf, inner)))
    masker = Masker(secrets)
    assert masker.data(masker.data(shape)) == masker.data(shape)
    for text in _strings(masker.data(shape)):
        assert MASK in text


def test_a_secret_inside_another_does_not_leave_the_rest_of_it():
    assert Masker(["pass", "password-42"]).text("x password-42 y") == "x *** y"


@pytest.mark.parametrize("value", ["", "abc", "true", "INFO", "localhost"])
def test_short_and_everyday_values_stay_readable(value):
    assert not is_secret(value)
    assert Masker([value]).text(f"x {value} y") == f"x {value} y"


def test_logins_in_urls_are_masked_without_being_told():
    assert (
        Masker([]).text("cloned https://joe:s3cret@git.example.org/a.git") == "cloned https://***@git.example.org/a.git"
    )


def test_the_password_in_a_url_is_masked_alone_too():
    masker = Masker(["postgres://shop:p%40ss-word@db.example.org/shop", "https://example.org:8080/a@b"])
    assert masker.text("shop p@ss-word p%40ss-word db.example.org 8080") == "shop *** *** db.example.org 8080"


def test_a_state_keeps_its_structure_even_when_values_look_like_it():
    result = {
        "name": "https://git.example.org/shop/api.git", "result": False, "comment": "result of hunter22",
        "changes": {"hunter22": 1}, "__id__": "service", "__sls__": "app.service", "__run_num__": 3, "duration": 1.5,
    }  # fmt: skip
    masked = Masker(["hunter22", "result", "service", "comment", "shop"]).state(result)
    assert masked["__id__"] == "service"
    assert masked["comment"] == "*** of ***"
    assert masked["changes"] == {MASK: 1}
    assert set(masked) == set(result)
    assert masked["name"] == "https://git.example.org/***/api.git"


def test_the_commit_stays_readable():
    commit = "c00930ff2aec70cbbf5e6aa4d701f4741deceefb"
    assert Masker(["0930"]).state({"data": {"commit": commit, "x": "0930"}}) == {"data": {"commit": commit, "x": MASK}}
    assert Masker(["0930"]).state({"data": {"commit": "0930"}}) == {"data": {"commit": MASK}}


def test_what_our_states_tell_keeps_its_names():
    told = {"commit": "c" * 40, "step": 1, "exit": -9, "line": "a line", "status": 503, "body": "the body", "x body": 1}
    masked = Masker(["body", "line", "status", "503", "cccc"]).state({"data": told})
    assert masked["data"] == {
        "commit": "c" * 40, "step": 1, "exit": -9, "line": "a ***", "status": 503, "body": "the ***", "x ***": 1,
    }  # fmt: skip


def test_a_run_keeps_the_parts_of_its_tags():
    tag = "git_|-checkout_|-https://hunter22@example.org_|-latest"
    assert list(Masker(["hunter22", "latest", "checkout"]).run({tag: {}})) == [
        "git_|-checkout_|-https://***@example.org_|-latest"
    ]
    assert Masker(["hunter22"]).run(["Rendering failed: hunter22"]) == ["Rendering failed: ***"]


def test_what_looks_like_a_secret_is_masked_at_every_depth():
    token = "ghp_" + "a" * 30
    data = {"a": [f"x {token}", {"b": (f"password={token}", 1, None, True)}], token: "named"}
    assert mask_secrets_in(data) == {"a": ["x ***", {"b": ["password=***", 1, None, True]}], "***": "named"}


@pytest.mark.parametrize("name", ["password", "DB_PASSWORD", "api-key", "shop.token", "SECRET_KEY_BASE"])
def test_what_a_key_calls_a_secret_is_masked(name):
    assert mask_secrets_in({name: "tiger striped"}) == {name: MASK}
    assert mask_secrets_in({name: "true", "other": "tiger"}) == {name: "true", "other": "tiger"}
    assert mask_secrets_in({name: {"result": False}}) == {name: {"result": False}}


def test_states_about_secrets_stay_readable():
    data = {"cmd_|-fetch-token_|-fetch-token_|-run": {"__id__": "fetch-token", "name": "make token", "comment": "no"}}
    assert mask_secrets_in(data) == data


def test_what_is_nested_too_deep_is_cut():
    nested = "secret=hunter22"
    for _ in range(100_000):
        nested = [nested]
    shown = mask_secrets_in(nested)
    for _ in range(64):
        (shown,) = shown
    assert shown == "(nested too deep to be shown)"


def _strings(data):
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield key
            yield from _strings(value)
    else:
        for item in data:
            yield from _strings(item)
