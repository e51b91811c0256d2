"""Who may do what: access.yaml, roles and rooms."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from orchestrator.curated.access import CuratedAccessFile, lint
from orchestrator.domain import policy
from orchestrator.domain.environment import Actor
from orchestrator.domain.errors import NotAllowed
from orchestrator.domain.people import Access, Role
from orchestrator.domain.policy import Act
from orchestrator.domain.template import Template

GOOD = """\
unknown: viewer
timezone: Europe/Berlin
people:
  ada: {role: developer, identities: {slack: U1, matrix: ["@ada:example.org"]}, email: Ada@example.org}
  olga: {role: ops, timezone: Europe/London}
"""
TEMPLATE = {
    "name": "shop",
    "roles": {"api": {"app": "a", "repository": "/r", "profile": "small", "run": "x", "port": 1}},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "access.yaml"
    file.write_text(GOOD)
    return file


def test_it_says_who_is_who(file: Path) -> None:
    access = CuratedAccessFile(file).current().access
    assert access.person_of("slack", "U1") == "ada"
    assert access.person_of("matrix", "U1") is None
    assert access.person_of("slack", "U2", "ADA@example.org") == "ada"
    assert access.person_of("slack", "ada") is None
    assert access.role_of("olga") is Role.OPS
    assert access.role_of("nobody") is Role.VIEWER
    assert access.role_of("admin") is Role.ADMIN
    assert access.zone_of("ada") == ZoneInfo("Europe/Berlin")
    assert access.zone_of("olga") == ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("unknown: developer\n", 1, "somebody unknown may be a viewer or nothing"),
        ("people:\n  ada: {rolle: ops}\n", 2, "there is no such field"),
        ("people:\n  ada: {role: boss}\n", 2, "input should be"),
        ("people:\n  ada: {role: nothing}\n", 2, "leave somebody out who may do nothing"),
        ("timezone: Europe/Berlni\n", 1, "is no time zone"),
        ("people:\n  Ada: {role: ops}\n", 2, "should match"),
        ("people:\n  a: {role: ops, email: x@y.z}\n  b: {role: ops, email: X@y.z}\n", 1, "is given to both a and b"),
        ("people:\n  scheduler: {role: ops}\n", 1, "Brinepool's own name for itself"),
        ("people: [\n", 2, "expected"),
        ("- a\n", 1, "is no mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(file: Path, text: str, line: int, message: str) -> None:
    file.write_text(text)
    (problem, *_) = lint(file)
    assert any(message in each.message for each in lint(file)), lint(file)
    assert problem.line == line


def test_a_version_that_is_wrong_gives_nobody_more(file: Path) -> None:
    access = CuratedAccessFile(file)
    access.current()
    file.write_text("unknown: admin\n")
    assert access.current().access.role_of("nobody") is Role.VIEWER
    assert access.current().problems
    file.unlink()
    assert access.current().access == Access()


def test_without_a_file_nobody_may_do_anything_but_the_admin(tmp_path: Path) -> None:
    access = CuratedAccessFile(tmp_path / "access.yaml").current().access
    assert access.role_of("ada") is Role.NOTHING
    assert access.role_of("admin") is Role.ADMIN


@pytest.mark.parametrize("act", list(Act))
@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_it_covers_and_nothing_else(act: Act, role: Role) -> None:
    actor = Actor("ada", "cli")
    if role.covers(policy.NEEDED[act]):
        policy.check(actor, role, act)
    else:
        with pytest.raises(NotAllowed) as refused:
            policy.check(actor, role, act)
        assert "ada" in refused.value.message


@pytest.mark.parametrize(
    ("rooms", "where", "allowed"),
    [
        (None, frozenset({"lounge"}), True),
        (["shop-dev"], frozenset({"shop-dev", "slack:shop-dev"}), True),
        (["#shop-dev"], frozenset({"shop-dev"}), True),
        (["slack:shop-dev"], frozenset({"shop-dev", "slack:shop-dev"}), True),
        (["slack:shop-dev"], frozenset({"shop-dev", "irc:shop-dev"}), False),
        (["shop-dev"], frozenset({"lounge"}), False),
        (["shop-dev"], frozenset(), False),
        (["shop-dev"], None, True),
        ([], frozenset({"lounge"}), False),
    ],
)
def test_a_template_is_spoken_of_in_its_rooms(
    rooms: list[str] | None, where: frozenset[str] | None, allowed: bool
) -> None:
    template = Template.model_validate(TEMPLATE | {"rooms": rooms})
    assert policy.room_allowed(Actor("ada", "chat:slack", rooms=where), template) is allowed
