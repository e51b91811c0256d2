"""Masking: no spelling of a secret survives, and what a person needs to read does."""

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.masking import HARMLESS, MASK, SHORTEST, Masker, is_secret

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
]


@given(SECRETS, st.sampled_from(SPELLINGS))
def test_every_spelling_is_masked(secret, spell):
    masked = Masker([secret]).text(f"<{spell(secret)}>")
    assert MASK in masked
    assert secret not in masked.replace(MASK, "")


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


def test_a_run_keeps_the_parts_of_its_tags():
    tag = "git_|-checkout_|-https://hunter22@example.org_|-latest"
    assert list(Masker(["hunter22", "latest", "checkout"]).run({tag: {}})) == [
        "git_|-checkout_|-https://***@example.org_|-latest"
    ]
    assert Masker(["hunter22"]).run(["Rendering failed: hunter22"]) == ["Rendering failed: ***"]


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
