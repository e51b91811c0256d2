import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain import names
from orchestrator.domain.durations import format_duration, parse_duration
from orchestrator.domain.errors import BadInput

ROLES = {"api", "web"}


@given(
    st.from_regex(names.ENVIRONMENT, fullmatch=True).filter(lambda name: len(name) <= 40 and not name.endswith("-")),
    st.from_regex(names.ROLE, fullmatch=True),
    st.integers(1, 999),
)
def test_a_server_name_leads_back_to_its_parts(environment: str, role: str, number: int) -> None:
    assert names.split_server_id(names.server_id(environment, role, number)) == (environment, role, number)


@pytest.mark.parametrize("name", ["cart", "fix-bug-42", "a", "x" * 40, "cart-web", "cart-db-1"])
def test_names_that_are_fine(name: str) -> None:
    assert names.check_environment_name(name, ROLES) == name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name-invalid"),
        ("Cart", "name-invalid"),
        ("1cart", "name-invalid"),
        ("cart_test", "name-invalid"),
        ("cart-", "name-invalid"),
        ("cart\n", "name-invalid"),
        ("../x", "name-invalid"),
        ("x" * 41, "name-too-long"),
        ("cart-web-1", "name-like-a-server"),
    ],
)
def test_names_that_are_refused(name: str, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        names.check_environment_name(name, ROLES)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("4h", 14400), ("2d", 172800), ("1d12h", 129600), (" 1D 12H ", 129600), ("1w", 604800)],
)
def test_durations_people_write(text: str, seconds: int) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "2", "d", "-1d", "1.5h", "2 fortnights", "0m", "999999999999999999999d", "400d", "1d" * 20]
)
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_duration(text)


@given(st.integers(1, 365 * 86400))
def test_a_shown_duration_can_be_typed_back_and_is_never_longer(seconds: int) -> None:
    from datetime import timedelta

    shown = format_duration(timedelta(seconds=seconds))
    assert parse_duration(shown) <= timedelta(seconds=seconds)
