"""The reaper's plan: one environment that is well, and what becomes of it when one thing about it is another."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.curated.templates import lint
from orchestrator.domain.lifecycle import EnvironmentStatus
from orchestrator.domain.reaping import (
    UNREADABLE,
    Action,
    ActionKind,
    Candidate,
    Cause,
    GoneBranch,
    Hold,
    Policy,
    Protection,
    Snapshot,
    checked,
    explain,
    noticed,
    plan_reap,
    policy_of,
)
from orchestrator.domain.template import Template
from tests.programs import SHOP
from tests.unit.reaping import NOW, POLICY, WELL, at, span, told

REAP, WARN, KEEP = ActionKind.REAP, ActionKind.WARN, ActionKind.KEEP


def plan(candidate: Candidate, policy: Policy | None = POLICY, now: datetime = NOW) -> list[Action]:
    return plan_reap(Snapshot((candidate,), {"shop": policy} if policy else {}), now)


EXPIRED = {"expires_at": at("-10m"), "warnings": (told(Cause.EXPIRED, at("-10m"), "30m", "-40m"),)}
FAILED = {
    "status": EnvironmentStatus.FAILED, "created_at": at("-4d"), "touched_at": at("-4d"), "failed_at": at("-73h"),
    "deployed_at": at("-4d"), "warnings": (told(Cause.FAILED, at("-1h"), "30m", "-90m"),),
}  # fmt: skip
IDLE = {
    "created_at": at("-6d"), "deployed_at": at("-121h"), "touched_at": at("-121h"),
    "warnings": (told(Cause.IDLE, at("-1h"), "30m", "-90m"),),
}  # fmt: skip
GONE = {
    "gone": (GoneBranch("web", "feature/cart", 5, at("-5h")),),
    "warnings": (told(Cause.BRANCH_GONE, at("-1h"), "4h", "-5h"),),
}


@pytest.mark.parametrize(
    ("changes", "kind", "cause", "says"),
    [
        # What is well has no action.
        ({}, None, None, ""),
        ({"expires_at": at("5h")}, None, None, ""),
        ({"status": EnvironmentStatus.TERMINATING, **EXPIRED}, None, None, ""),
        ({"status": EnvironmentStatus.TERMINATED, **EXPIRED}, None, None, ""),
        ({"protection": Protection("olga", at("-1d"))}, None, None, ""),
        ({"busy": "bob is deploying main to it"}, None, None, ""),
        # Expired.
        (EXPIRED, REAP, Cause.EXPIRED, "expired 10m ago"),
        ({"expires_at": NOW, "warnings": (told(Cause.EXPIRED, NOW, "30m", "-29m"),)}, REAP, Cause.EXPIRED, "just now"),
        ({"expires_at": at("3h")}, WARN, Cause.EXPIRED, "expires in 3h"),
        ({"expires_at": at("10m")}, WARN, Cause.EXPIRED, "expires in 10m"),
        ({"expires_at": at("-2h")}, WARN, Cause.EXPIRED, "expired 2h ago"),
        ({"created_at": at("-15d"), "deployed_at": at("-1d")}, WARN, Cause.EXPIRED,
         "expired 1d ago, because an environment of shop may live 14d in all now"),
        # Stale: a branch is gone.
        (GONE, REAP, Cause.BRANCH_GONE, "branch feature/cart of web is gone at the remote, at two checks in a row"),
        ({**GONE, "warnings": ()}, WARN, Cause.BRANCH_GONE, "branch feature/cart of web is gone"),
        ({**GONE, "gone": (GoneBranch("web", "feature/cart", 1, at("-5h")),)}, None, None, ""),
        ({**GONE, "gone": (GoneBranch("web", "main", 5, at("-5h")),)}, None, None, ""),
        ({**GONE, "gone": (GoneBranch("db", "feature/cart", 5, at("-5h")),)}, None, None, ""),
        ({**GONE, "extended_at": at("-4h")}, None, None, ""),
        ({"gone": (GoneBranch("web", "x", 2, NOW), GoneBranch("api", "x", 2, NOW), GoneBranch("api", "y", 2, NOW))},
         WARN, Cause.BRANCH_GONE, "branch x of api and web and branch y of api are gone"),
        # Stale: nobody deployed to it.
        (IDLE, REAP, Cause.IDLE, "nobody deployed to it for 5d 1h"),
        ({**IDLE, "warnings": ()}, WARN, Cause.IDLE, "nobody deployed to it for 5d 1h"),
        ({**IDLE, "extended_at": at("-119h")}, WARN, Cause.IDLE, "nobody deployed to it or extended it for 4d 23h"),
        ({**IDLE, "extended_at": at("-1h")}, None, None, ""),
        # Failed, and nobody touched it.
        (FAILED, REAP, Cause.FAILED, "failed 3d 1h ago and nobody touched it since"),
        ({**FAILED, "touched_at": at("-70h")}, WARN, Cause.FAILED, "failed, and nobody touched it for 2d 22h"),
        ({**FAILED, "touched_at": at("-2d")}, None, None, ""),
        ({**FAILED, "status": EnvironmentStatus.READY}, None, None, ""),
        # Several causes: the most telling of those that are ripe; of those to come, the next.
        ({**IDLE, **EXPIRED, "warnings": EXPIRED["warnings"] + IDLE["warnings"]}, REAP, Cause.EXPIRED, "expired"),
        ({**FAILED, **GONE, "warnings": FAILED["warnings"] + GONE["warnings"]}, REAP, Cause.BRANCH_GONE, "branch"),
        ({**IDLE, "expires_at": at("-1m")}, REAP, Cause.IDLE, "nobody deployed"),
        ({**IDLE, "warnings": (), "expires_at": at("10m")}, WARN, Cause.IDLE, "nobody deployed"),
        # Kept, with the reason.
        ({**EXPIRED, "protection": Protection("olga", at("-1d"))}, KEEP, Cause.EXPIRED,
         "protected by olga without end"),
        ({**EXPIRED, "protection": Protection("olga", at("-1d"), at("5d"), "demo")}, KEEP, Cause.EXPIRED,
         "protected by olga until 2026-11-30 12:00 UTC (demo)"),
        ({**EXPIRED, "hold": Hold("ada", at("-1h"), at("6h"))}, KEEP, Cause.EXPIRED,
         "held for debugging by ada until 2026-11-25 18:00 UTC"),
        ({**EXPIRED, "locked": "bob"}, KEEP, Cause.EXPIRED, "locked by bob"),
        ({**EXPIRED, "busy": "bob is deploying main to it"}, KEEP, Cause.EXPIRED, "bob is deploying main to it"),
        ({**EXPIRED, "warnings": (told(Cause.EXPIRED, at("-10m"), "30m", "-3m"),)}, KEEP, Cause.EXPIRED,
         "its owner was warned only 3m ago"),
        ({**EXPIRED, "warnings": (told(Cause.EXPIRED, at("-10m"), "30m", "-40m", None),)}, KEEP, Cause.EXPIRED,
         "the warning could not be delivered yet"),
        ({"created_at": at("-20d"), "expires_at": at("-6d"), "protection": Protection("olga", at("-10d"))}, KEEP,
         Cause.EXPIRED, "protected by olga without end, even beyond the 14d that it may live in all"),
        # A protection or a hold that is over keeps nothing, but what was due in the meantime is warned about anew.
        ({**EXPIRED, "hold": Hold("ada", at("-9h"), at("-1h"))}, REAP, Cause.EXPIRED, "expired 10m ago"),
        ({**EXPIRED, "hold": Hold("ada", at("-9h"), at("-5m"))}, WARN, Cause.EXPIRED, "expired 10m ago"),
        ({**EXPIRED, "protection": Protection("olga", at("-9h"), at("-5m"))}, WARN, Cause.EXPIRED, "expired 10m ago"),
        ({**EXPIRED, "hold": Hold("ada", at("-9h"), at("20m"))}, WARN, Cause.EXPIRED,
         "expired 10m ago, and what keeps it ends in 20m"),
        ({**EXPIRED, "hold": Hold("ada", at("-23.9h"), at("2d"))}, WARN, Cause.EXPIRED, "what keeps it ends in 6m"),
        # What was not warned about is not reaped, whatever other warnings there were.
        ({**EXPIRED, "warnings": (told(Cause.IDLE, at("-10m"), "30m", "-40m"),)}, WARN, Cause.EXPIRED, ""),
        ({**EXPIRED, "warnings": (told(Cause.EXPIRED, at("-1d"), "30m", "-40m"),)}, WARN, Cause.EXPIRED, ""),
        # Nobody can be reached: what was written down counts.
        ({**EXPIRED, "reachable": False, "warnings": (told(Cause.EXPIRED, at("-10m"), "30m", "-40m", None),)}, REAP,
         Cause.EXPIRED, "expired"),
        ({**EXPIRED, "reachable": False, "warnings": (told(Cause.EXPIRED, at("-10m"), "30m", "-3m", None),)}, KEEP,
         Cause.EXPIRED, "its warning, which reaches nobody, was written down only 3m ago"),
        ({**EXPIRED, "reachable": False, "warnings": ()}, WARN, Cause.EXPIRED, ""),
        # At the hard maximum a warning counts that could not be delivered, when its time is over.
        ({**EXPIRED, "created_at": at("-337h"), "deployed_at": at("-1d"),
          "warnings": (told(Cause.EXPIRED, at("-1h"), "30m", "-2h", None),)}, REAP, Cause.EXPIRED, "expired"),
        ({**EXPIRED, "created_at": at("-337h"), "deployed_at": at("-1d"),
          "warnings": (told(Cause.EXPIRED, at("-1h"), "30m", "-2m", None),)}, KEEP, Cause.EXPIRED, "only 2m ago"),
        ({**EXPIRED, "created_at": at("-337h"), "warnings": ()}, WARN, Cause.EXPIRED, "expired"),
        # A shorter maximum breaks no promise without a delivered warning.
        ({"created_at": at("-337h"), "deployed_at": at("-1d"),
          "warnings": (told(Cause.EXPIRED, at("-1h"), "30m", "-2h", None),)}, KEEP, Cause.EXPIRED, "not be delivered"),
    ],
)  # fmt: skip
def test_one_thing_is_different(changes: dict[str, Any], kind: ActionKind | None, cause: Cause, says: str) -> None:
    actions = plan(replace(WELL, **changes))
    assert [(action.kind, action.cause) for action in actions] == ([(kind, cause)] if kind else [])
    assert all(says in action.reason for action in actions), actions[0].reason


# Warnings


@pytest.mark.parametrize(
    ("left", "sent", "step"),
    [
        ("4.1h", [], None),
        ("4h", [], "4h"),
        ("31m", [], "4h"),
        ("31m", ["4h"], None),
        ("30m", ["4h"], "30m"),
        ("30m", [], "30m"),  # after a downtime the one that is over is not sent
        ("1m", ["30m"], None),
        ("-3h", ["4h"], "30m"),
        ("-3h", ["30m"], None),
    ],
)
def test_the_latest_step_whose_moment_has_come_is_sent_once(left: str, sent: list[str], step: str | None) -> None:
    warnings = tuple(told(Cause.EXPIRED, at(left), each, f"-{each}", None) for each in sent)
    actions = plan(replace(WELL, expires_at=at(left), warnings=warnings))
    found = [action.step for action in actions if action.kind is WARN]
    assert found == ([span(step)] if step else [])


def test_an_extension_makes_a_new_moment_and_so_new_warnings() -> None:
    warned = replace(WELL, expires_at=at("20m"), warnings=(told(Cause.EXPIRED, at("20m"), "30m", "-10m"),))
    assert plan(warned) == []
    longer = replace(warned, expires_at=at("25h"), extended_at=NOW, touched_at=NOW)
    assert plan(longer) == []
    [action] = plan(longer, now=at("21h"))
    assert (action.kind, action.at, action.step) == (WARN, at("25h"), span("4h"))


@pytest.mark.parametrize(
    ("life", "warns"),
    [("4h", "3.5h"), ("2h", "1.5h"), ("30m", "15m"), ("2m", "1m")],
)
def test_a_life_shorter_than_a_step_does_without_it_and_is_warned_about_at_least_once(life: str, warns: str) -> None:
    """Nobody is warned of what they asked for just now."""
    short = replace(WELL, created_at=NOW, deployed_at=NOW, touched_at=NOW, expires_at=at(life))
    assert plan(short, now=at(warns) - span("1s")) == []
    [action] = plan(short, now=at(warns))
    assert action.kind is WARN
    warned = replace(short, warnings=(told(Cause.EXPIRED, at(life), "1s", warns),))
    assert action.ends_at == at(life)
    assert plan(warned, now=at(life) - span("1s")) == []
    assert [each.kind for each in plan(warned, now=at(life))] == [REAP]


@pytest.mark.parametrize(("delivered", "ends"), [("-30m", "0m"), ("-15m", "0m"), ("-14m", "16m"), ("2h", "2.5h")])
def test_a_warning_in_time_does_not_delay_and_a_late_one_gives_the_whole_step(delivered: str, ends: str) -> None:
    due = replace(WELL, expires_at=NOW, warnings=(told(Cause.EXPIRED, NOW, "30m", "-30m", delivered),))
    before, after = plan(due, now=at(ends) - span("1s")), plan(due, now=at(ends))
    assert [action.kind for action in after] == [REAP]
    assert not before or (before[0].kind, before[0].ends_at) == (KEEP, at(ends))


def test_a_warning_says_when_it_will_go_at_the_earliest() -> None:
    assert plan(replace(WELL, expires_at=at("3h")))[0].ends_at == at("3h")
    assert plan(replace(WELL, expires_at=at("10m")))[0].ends_at == at("30m")
    assert plan(replace(WELL, expires_at=at("-3h")))[0].ends_at == at("30m")


def test_what_is_kept_says_until_when_if_somebody_knows() -> None:
    undelivered = {**EXPIRED, "warnings": (told(Cause.EXPIRED, at("-10m"), "30m", "-3m", None),)}
    ends = {
        at("6h"): {**EXPIRED, "hold": Hold("ada", at("-1h"), at("6h"))},
        at("27m"): {**EXPIRED, "warnings": (told(Cause.EXPIRED, at("-10m"), "30m", "-3m"),)},
        at("12d"): undelivered,  # the hard maximum
        None: {**EXPIRED, "locked": "bob"},
    }
    assert {end: plan(replace(WELL, **changes))[0].ends_at for end, changes in ends.items()} == {
        end: end for end in ends
    }


def test_a_cause_without_a_moment_of_its_own_is_due_the_longest_step_after_it_was_noticed() -> None:
    gone = replace(WELL, gone=(GoneBranch("web", "feature/cart", 2, NOW),))
    [action] = plan(gone)
    assert (action.kind, action.at, action.step) == (WARN, at("4h"), span("4h"))
    [later] = plan(replace(gone, warnings=(told(Cause.BRANCH_GONE, at("4h"), "4h", "0m"),)), now=at("3.5h"))
    assert (later.kind, later.step) == (WARN, span("30m"))


# More than one may have


def several(count: int, **changes: Any) -> tuple[Candidate, ...]:
    """Environments of one owner, the first the oldest."""
    made = (at("-2d") + number * span("1h") for number in range(count))
    return tuple(replace(WELL, id=f"{n}", name=f"cart-{n}", created_at=when, **changes) for n, when in enumerate(made))


def surplus(*environments: Candidate, policy: Policy = POLICY) -> list[Action]:
    return plan_reap(Snapshot(environments, {"shop": policy}), NOW)


def test_who_is_over_the_limit_is_warned_about_the_oldest_and_then_it_goes() -> None:
    first, *others = several(4)
    [action] = surplus(*others, first)
    assert (action.name, action.kind, action.cause, action.at) == ("cart-0", WARN, Cause.OVER_LIMIT, at("4h"))
    assert action.reason == "ada has 4 environments of shop and may have 3; this one is the oldest"
    since, warning = {Cause.OVER_LIMIT: at("-4h")}, told(Cause.OVER_LIMIT, NOW, "4h", "-4h")
    [action] = surplus(*others, replace(first, noticed=since, warnings=(warning,)))
    assert (action.name, action.kind, action.cause) == ("cart-0", REAP, Cause.OVER_LIMIT)


def test_who_is_not_over_the_limit_has_no_action() -> None:
    assert surplus(*several(3)) == []
    assert surplus(*several(3), replace(WELL, id="b", owner="bob")) == []
    assert surplus(*several(3), replace(WELL, id="n", template="notes")) == []
    assert surplus(*several(3), replace(WELL, id="t", status=EnvironmentStatus.TERMINATING)) == []
    assert surplus(*several(9), policy=UNREADABLE) == []


def test_what_goes_anyway_is_not_counted_and_no_younger_one_goes_for_a_kept_one() -> None:
    late = told(Cause.OVER_LIMIT, at("-1h"), "4h", "-5h")
    oldest = {"noticed": {Cause.OVER_LIMIT: at("-5h")}, "warnings": (late,)}
    first, *others, last = several(4)
    actions = surplus(replace(first, **oldest), *others, replace(last, **EXPIRED))
    assert [(action.name, action.kind) for action in actions] == [("cart-3", REAP)]
    actions = surplus(replace(first, **oldest, protection=Protection("olga", at("-1d"))), *others, last)
    assert [(action.name, action.kind) for action in actions] == [("cart-0", KEEP)]


def test_of_several_too_many_all_are_told_and_what_is_noticed_is_given_back() -> None:
    environments = several(5)
    assert [action.reason.rpartition("; ")[2] for action in surplus(*environments)] == [
        "this one is among the 2 oldest"
    ] * 2
    snapshot = Snapshot(environments, {"shop": POLICY})
    found = noticed(snapshot, NOW)
    assert found == {"0": {Cause.OVER_LIMIT: NOW}, "1": {Cause.OVER_LIMIT: NOW}}
    kept = tuple(replace(each, noticed=found.get(each.id, {})) for each in environments)
    assert noticed(Snapshot(kept, {"shop": POLICY}), at("1h")) == found
    assert noticed(Snapshot(kept[1:], {"shop": POLICY}), at("1h")) == {"1": found["1"]}
    assert plan_reap(Snapshot(kept, {"shop": POLICY}), NOW) == plan_reap(snapshot, NOW)


# Policy


def template(**ttl: Any) -> Template:
    role = {"app": "a", "repository": "/r", "profile": "small", "run": "x", "port": 1, "branch": "trunk"}
    return Template.model_validate({"name": "shop", "ttl": ttl, "limits": {"per_person": 2}, "roles": {"web": role}})


def test_the_policy_is_the_template_s() -> None:
    found = policy_of(template(warn=["30m", "4h", "30m"], idle="5d", hold="2h"))
    assert found.warn == (span("4h"), span("30m"))
    assert (found.max, found.extend, found.hold, found.idle, found.failed) == (
        span("14d"), span("1d"), span("2h"), span("5d"), span("3d"),
    )  # fmt: skip
    assert (found.per_person, found.branches, found.known) == (2, {"web": "trunk"}, True)
    assert policy_of(template()).idle is None


@pytest.mark.parametrize(
    ("ttl", "says"),
    [
        ({"default": "4h", "warn": ["5h"]}, "warning 5h before the end would come before the beginning"),
        ({"default": "4h", "warn": ["30m", "2d"]}, "because default is 4h"),
        ({"warn": []}, "nothing is reaped without a warning"),
        ({"warn": ["-30m"]}, "not a duration"),
        ({"idle": "400d"}, "more than a year"),
        ({"failed": "0m"}, "no time at all"),
        ({"hold": "a while"}, "not a duration"),
        ({"max": "-1d"}, "not a duration"),
    ],
)
def test_a_template_that_says_nonsense_is_refused(ttl: Mapping[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        template(**ttl)


def test_a_warning_that_is_too_early_is_told_with_line_and_field(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP.replace("extend: 1d}", "extend: 1d,\n      warn: [2d]}", 1))
    [problem] = lint([file])
    assert (problem.line, problem.field) == (4, "ttl.warn")
    assert "a warning 2d before the end would come before the beginning" in problem.message


def test_a_template_with_short_lives_needs_no_warnings_of_its_own() -> None:
    assert policy_of(template(default="2m", max="10m")).warn == (span("4h"), span("30m"))
    assert policy_of(template(default="4h", warn=["4h"])).warn == (span("4h"),)


@pytest.mark.parametrize("changes", [IDLE, GONE, FAILED], ids=["idle", "gone", "failed"])
def test_without_a_policy_only_the_promised_end_counts(changes: dict[str, Any]) -> None:
    assert plan(replace(WELL, **changes), None) == []
    [action] = plan(replace(WELL, **EXPIRED, created_at=at("-30d")), None)
    assert (action.kind, action.at) == (REAP, at("-10m"))
    assert plan(replace(WELL, created_at=at("-30d"))) != []
    assert plan(replace(WELL, created_at=at("-30d")), None) == []


# Branches that are gone


def test_a_branch_counts_when_it_is_gone_at_two_checks_in_a_row() -> None:
    known: GoneBranch | None = None
    seen = []
    for minute, there in enumerate([True, False, None, True, False, None, None, False, None, False]):
        known = checked(known, "web", "feature/cart", there, at(f"{minute}m"))
        seen.append((known.checks, known.first_noticed) if known else None)
    first, second = (1, at("4m")), (2, at("7m"))
    assert seen == [None, (1, at("1m")), (1, at("1m")), None, first, first, first, second, second, (3, at("7m"))]


def test_another_branch_begins_anew() -> None:
    known = GoneBranch("web", "feature/cart", 2, at("-1d"))
    assert checked(known, "web", "feature/tax", False, NOW) == GoneBranch("web", "feature/tax", 1, NOW)
    assert checked(known, "web", "feature/tax", None, NOW) is None


# Words


def test_a_plan_reads_as_sentences_and_lists_what_goes_first() -> None:
    environments = (
        replace(WELL, id="1", name="kept", **EXPIRED, locked="bob"),
        replace(WELL, id="2", name="warned", expires_at=at("3h")),
        replace(WELL, id="3", name="gone", **EXPIRED),
    )
    assert [explain(action) for action in plan_reap(Snapshot(environments, {"shop": POLICY}), NOW)] == [
        "gone goes: expired 10m ago.",
        "warned is warned about: expires in 3h. It goes at 2026-11-25 15:00 UTC at the earliest.",
        "kept stays: locked by bob. Otherwise it would go: expired 10m ago.",
    ]


def test_it_helps_to_extend_against_everything_but_the_limit() -> None:
    assert [cause for cause in Cause if not cause.extendable] == [Cause.OVER_LIMIT]
