"""Signatures: what fits is let in, and nothing else is."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import signature
from orchestrator.domain.errors import NotAllowed

SECRET = "a-secret-of-sixteen"
NOW = 1_795_000_000.75
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def refused(body: bytes, header: str | None, now: float = NOW, secret: str = SECRET) -> str:
    with pytest.raises(NotAllowed) as error:
        signature.verify(secret, body, header, now)
    return error.value.code


@given(SECRETS, st.binary(max_size=200), st.floats(0, 4e9))
def test_what_was_signed_is_let_in(secret: str, body: bytes, now: float) -> None:
    signature.verify(secret, body, signature.sign(secret, body, now), now)


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_a_signature_is_for_one_body(signed: bytes, sent: bytes) -> None:
    header = signature.sign(SECRET, signed, NOW)
    if signed == sent:
        signature.verify(SECRET, sent, header, NOW)
    else:
        assert refused(sent, header) == "signature-wrong"


@given(st.text(max_size=300))
def test_no_header_is_let_in_by_chance_or_raises_something_else(header: str) -> None:
    assert refused(b"{}", header) in ("signature-wrong", "signature-missing")


@pytest.mark.parametrize("header", [None, "", "  "])
def test_a_missing_header_is_told_as_such(header: str | None) -> None:
    assert refused(b"{}", header) == "signature-missing"


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.replace("v1=", "v0="),  # a version that we do not know
        lambda header: header.replace(",", ";"),
        lambda header: header.upper(),
        lambda header: header[:-1],
        lambda header: header.partition(",")[2],  # no time
        lambda header: header.partition(",")[0],  # no digest
        lambda header: "t=1," + header,  # which time?
        lambda header: header + ",t=1",
        lambda header: header.replace("t=", "t=+"),
        lambda header: header.replace("t=1", "t=\N{SUPERSCRIPT ONE}"),
        lambda header: header + "," + "x" * 1000,
        lambda header: f"t={int(NOW) + 1}," + header.partition(",")[2],  # the time is part of what is signed
    ],
)
def test_a_header_that_was_changed_is_refused(change) -> None:
    assert refused(b"{}", change(signature.sign(SECRET, b"{}", NOW))) == "signature-wrong"


def test_another_secret_and_an_empty_one_are_refused() -> None:
    assert refused(b"{}", signature.sign("another", b"{}", NOW)) == "signature-wrong"
    assert refused(b"{}", signature.sign("", b"{}", NOW), secret="") == "signature-wrong"


@pytest.mark.parametrize("offset", [-301, 301, 10**6])
def test_too_old_and_too_early_are_refused(offset: int) -> None:
    assert refused(b"{}", signature.sign(SECRET, b"{}", int(NOW)), int(NOW) + offset) == "signature-stale"


@pytest.mark.parametrize("offset", [-300, -1, 0, 1, 300])
def test_within_the_window_is_let_in(offset: int) -> None:
    signature.verify(SECRET, b"{}", signature.sign(SECRET, b"{}", int(NOW)), int(NOW) + offset)


def test_that_it_is_stale_is_told_only_to_who_has_the_secret() -> None:
    assert refused(b"{}", signature.sign("another", b"{}", NOW), NOW + 1000) == "signature-wrong"


def test_one_of_several_is_enough_while_a_secret_is_being_changed() -> None:
    new = signature.sign("the-next-secret", b"{}", NOW)
    old = signature.sign(SECRET, b"{}", NOW)
    signature.verify(SECRET, b"{}", f"{new},{old.partition(',')[2]}", NOW)


def test_spaces_and_members_of_later_versions_do_not_matter() -> None:
    at, _, digest = signature.sign(SECRET, b"{}", NOW).partition(",")
    signature.verify(SECRET, b"{}", f" {at}, v2=future, {digest} ", NOW)


def test_it_is_what_openssl_computes() -> None:
    """The documented example: printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$secret"."""
    said = subprocess.run(
        ["openssl", "dgst", "-sha256", "-hmac", SECRET],
        input=b'1795000000.{"text": "help"}', capture_output=True, check=True,
    )  # fmt: skip
    digest = said.stdout.decode().split()[-1]
    assert signature.sign(SECRET, b'{"text": "help"}', NOW) == f"t=1795000000,v1={digest}"
