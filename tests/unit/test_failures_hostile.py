"""Returns that nobody should send: malformed, cut off, huge, deep and hostile. There is always an explanation, never an
exception, and neither takes much time or memory."""

import copy
import json
import re
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.failures import (
    Failure,
    Subject,
    explain,
    explain_document,
    never_started,
    no_return,
    salt_refused,
)
from tests.failures.corpus import cases, shipped

SUBJECT = Subject("cart-web-1", "web", "feature/crat", "https://git.example.org/shop/web.git", ("feature/cart", "main"))
CAREFULLY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
CASES = cases()
SECONDS, MEGABYTES = 20.0, 200
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20)
keys = st.text(max_size=30) | st.sampled_from(
    ["result", "comment", "changes", "ret", "return", "data", "__id__", "__run_num__", "__state_ran__", "Result",
     "Minions", "error", "Error", "status", "body", "git_|-a_|-b_|-latest", "outputter", "ok", "jid"]
)  # fmt: skip
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=6), max_leaves=30
)


def check(failures: list[Failure]) -> None:
    """What every explanation is, whatever it was made of."""
    for each in failures:
        told = each.to_data()
        assert Failure.from_data(json.loads(json.dumps(told))) == each
        assert each.title.strip()
        assert len(each.title) <= 700
        assert len(each.explanation.splitlines()) <= 4
        assert len(each.explanation) <= 1_200
        assert len(each.evidence.splitlines()) <= 21
        assert len(each.evidence) <= 64_000
        for text in (each.title, each.explanation, each.action, each.evidence):
            assert not _CONTROL.search(text)


def within(work: Callable[[], Any]) -> Any:
    """What `work` returns; it has to end within a time that only something endless exceeds."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), f"not within {SECONDS} s"
    assert found, "it raised"
    return found[0]


@CAREFULLY
@given(documents)
def test_any_data_is_explained_or_fine(document: Any) -> None:
    check(explain(document, SUBJECT, shipped()))
    check(explain_document(document, SUBJECT, shipped()))


@CAREFULLY
@given(st.text(min_size=1).filter(lambda text: text.strip().isprintable() and text.strip()))
def test_what_is_no_state_run_is_no_success(text: str) -> None:
    assert explain(text, SUBJECT, shipped())
    assert explain([text], SUBJECT, shipped())
    assert explain({"minion": text}, SUBJECT, shipped())


@CAREFULLY
@given(st.data())
def test_real_returns_with_something_wrong_in_them(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from([each for each in CASES if isinstance(each.recorded["ret"], dict)]))
    ret = copy.deepcopy(case.recorded["ret"])
    at: Any = ret
    for _ in range(data.draw(st.integers(0, 5))):
        if not isinstance(at, dict) or not at:
            break
        key = data.draw(st.sampled_from(sorted(map(str, at))))
        if data.draw(st.booleans()):
            at[key] = data.draw(documents)
            break
        at = at.get(key)
    check(explain(ret, SUBJECT, shipped()))
    check(explain_document({"return": [ret]}, SUBJECT, shipped()))


@CAREFULLY
@given(st.data())
def test_text_that_was_cut_off(data: st.DataObject) -> None:
    text = json.dumps(data.draw(st.sampled_from(CASES)).recorded["ret"])
    check(explain_document(text[: data.draw(st.integers(0, len(text)))], SUBJECT, shipped()))


@CAREFULLY
@given(st.text(), st.text())
def test_whatever_a_driver_or_a_log_says(message: str, detail: str) -> None:
    check([salt_refused("cart-web-1", "create-failed", message, detail, shipped())])
    check([no_return("cart-web-1", "5m", detail, shipped()), never_started("cart-web-1", "5m", detail, shipped())])


def failed(comment: str, **more: Any) -> dict[str, Any]:
    return {"cmd_|-a_|-a_|-run": {"result": False, "comment": comment, "__id__": "a", "changes": {}, **more}}


def nested(depth: int) -> Any:
    found: Any = "the end"
    for number in range(depth):
        found = {"ret": found} if number % 2 else [found]
    return found


MB = 1024 * 1024
HUGE: dict[str, Callable[[], Any]] = {
    "one line of 50 MB": lambda: failed("x" * 50 * MB),
    "50 MB in lines": lambda: failed("error: no\n" * (5 * MB)),
    "a hundred thousand states": lambda: {
        f"a_|-{number}_|-b_|-c": {"result": number % 2 == 0, "comment": f"no {number}"} for number in range(100_000)
    },
    "ten thousand minions": lambda: {"return": [{f"m{number}": failed("boom") for number in range(10_000)}]},
    "a hundred thousand levels": lambda: nested(100_000),
    "deep changes": lambda: failed("no", changes=nested(50_000)),
    "a list of a million": lambda: ["Rendering SLS 'base:x' failed: no"] * 1_000_000,
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_huge_or_deep(name: str) -> None:
    document = HUGE[name]()
    tracemalloc.start()
    try:
        check(within(lambda: explain(document, SUBJECT, shipped())))
        check(within(lambda: explain_document(document, SUBJECT, shipped())))
        peak = tracemalloc.get_traced_memory()[1] / MB
    finally:
        tracemalloc.stop()
    assert peak < MEGABYTES
    while isinstance(document, list | dict) and len(document) == 1:  # else Python itself would stumble over its end
        document = document[0] if isinstance(document, list) else next(iter(document.values()))


BOMBS = ["a" * 40_000, "a-" * 20_000, "token-" * 8_000, ("'" + "x" * 50) * 800, "(" * 40_000, "error: " * 6_000,
         "File \"" * 6_000, "Step 1 of 1 of the build failed: " * 1_000, "\n" * 40_000, "= " * 20_000, "1" * 40_000,
         "Not healthy: http://x: it answered " * 1_000, "No matching distribution found for " * 1_000,
         "\x1b[" * 20_000, "<" * 40_000, "<script>" * 5_000, "password=" * 5_000, "é\u2028\ud800" * 10_000]  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: repr(bomb[:12]))
def test_text_made_to_keep_patterns_busy(bomb: str) -> None:
    check(within(lambda: explain(failed(bomb), SUBJECT, shipped())))
    check(within(lambda: explain([bomb, bomb[1:]], SUBJECT, shipped())))
    check(within(lambda: explain_document({"status": 500, "body": bomb}, SUBJECT, shipped())))
    check(within(lambda: [never_started("cart-web-1", "5m", bomb, shipped())]))


@pytest.mark.parametrize("words", ["{server.__class__}", "{0}", "%s %(x)s", "{telling}", "{{", "}"])
def test_what_looks_like_a_format_is_shown_as_it_is(words: str) -> None:
    (failure,) = explain(failed(f"error: {words}"), SUBJECT, shipped())
    assert words in failure.explanation


def test_secrets_are_masked_again() -> None:
    secret = "hunter2hunter2"
    said = f"fatal: could not read from https://me:{secret}@git.example.org/x password={secret} token: ghp_{'a' * 36}"
    for failures in (
        explain(failed(said, changes={"stderr": said}), SUBJECT, shipped()),
        explain([said], SUBJECT, shipped()),
        explain_document({"return": [said]}, SUBJECT, shipped()),
        [salt_refused("cart-web-1", "create-failed", said, said, shipped())],
        [never_started("cart-web-1", "5m", said, shipped())],
    ):
        assert failures
        assert secret not in json.dumps([each.to_data() for each in failures])
        assert "ghp_a" not in json.dumps([each.to_data() for each in failures])
