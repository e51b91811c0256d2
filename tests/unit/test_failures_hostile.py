"""Returns that nobody should send: malformed, cut off, huge, deep and hostile. There is always an explanation, never an
exception, and neither takes much time or memory."""

import copy
import json
import math
import re
import threading
import time
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.domain.failures import (
    Failure,
    Subject,
    explain,
    explain_document,
    group,
    leading,
    never_started,
    no_return,
    salt_refused,
)
from orchestrator.domain.failures.text import LONGEST_LINE, MOST
from tests.failures.corpus import cases, shipped

SUBJECT = Subject("cart-web-1", "web", "feature/crat", "https://git.example.org/shop/web.git", ("feature/cart", "main"))
CAREFULLY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
CASES = cases()
SECONDS, MEGABYTES = 20.0, 200

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20)
leaves |= st.sampled_from([10**400, -(10**400), math.nan, "\ud800", "\x9b31m\x1b[31m", "error: {0} %s {server}"])
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
        assert len(each.title) <= 500
        assert len(each.explanation.splitlines()) <= 1
        assert len(each.explanation) <= 1_000
        assert len(each.evidence.splitlines()) <= 20
        assert len(each.evidence) <= 32_000
        for text in (each.title, each.explanation, each.action, *each.servers):
            assert "\n" not in text
        for text in (each.code, each.title, each.explanation, each.action, each.evidence, *each.servers):
            assert not controls(text), repr(text)


def controls(text: str) -> set[str]:
    """Control characters, lone surrogates, and what turns the direction of a text."""
    odd = {char for char in text if unicodedata.category(char) in ("Cc", "Cs")} - {"\n", "\t"}
    return odd | (set(text) & set("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))


def within(work: Callable[[], Any]) -> Any:
    """What `work` returns; it has to end within a time that only something endless exceeds."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)  # it prints what it raises
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
    "a name of 50 MB": lambda: {"_|-" * (16 * MB): {"result": False}},
    "many causes of the longest text": lambda: {
        f"cmd_|-{number}_|-b_|-run": {"result": False, "comment": f"{number}\n" + "error: a b\n" * 4_000}
        for number in range(20)
    },
    "a tree of a million lists": lambda: [[[] for _ in range(1_000)] for _ in range(1_000)],
    "many causes on each of many minions": lambda: {
        f"m{minion}": {f"a_|-{n}_|-b_|-c": {"result": False, "comment": f"no {minion} {n}"} for n in range(50)}
        for minion in range(300)
    },
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


UNITS = ("a", "A", "1", " ", "-", "/", ".", ":", "'", "=", "_", "a.", "a:", "1:", "' ", "\n", "a\n", "a b ", "'a")


def bombs(pattern: str) -> Iterator[str]:
    """Long runs of characters that patterns repeat, and of the pattern's own words, in the longest lines there are."""
    words = re.sub(r"\(\?P<\w+>|\(\?[:a-z!<=]+\)?|\\[AZbdDsSwW]|[\[\]()?*+|^${}]", "\0", pattern)
    pieces = [piece for piece in re.sub(r"\\(.)", r"\1", words).split("\0") if piece.strip()]
    for unit in {*UNITS, *pieces, "".join(pieces), *(f"{piece}{end}" for piece in pieces for end in "a\n")}:
        line = unit * (LONGEST_LINE // len(unit) + 1)
        yield (line * (MOST // LONGEST_LINE))[:MOST] if "\n" in unit else "\n".join([line[:LONGEST_LINE]] * 8)


@pytest.mark.parametrize("code", shipped().entries)
def test_no_pattern_of_the_catalogue_can_be_kept_busy(code: str) -> None:
    for pattern in shipped().entries[code].match:
        compiled = re.compile(pattern, re.MULTILINE)
        for bomb in bombs(pattern):
            began = time.thread_time()  # what others do on the machine is no fault of the pattern
            compiled.search(bomb)
            assert time.thread_time() - began < 0.5, f"{pattern} on {bomb[:60]!r}"


ODD: dict[str, Any] = {
    "a number of thousands of digits": {10**5_000: {"result": False, "__run_num__": 10**5_000}, "a_|-b_|-c_|-d": 0},
    "an exit code of thousands of digits": failed("no", changes={"retcode": 10**5_000}, data={"status": 10**5_000}),
    "no number": failed("no", __run_num__=math.nan, changes={"retcode": math.inf}, data={"status": math.nan}),
    "a comment of no text": failed("no") | {"x_|-b_|-c_|-d": {"result": False, "comment": {"a": [1, None, b"\xff"]}}},
    "names of no text": {"a_|-b_|-c_|-d": {"result": False, "name": 5, "__id__": ["x"], "__sls__": {1: 2}}},
    "keys of no text": {1: {"result": False}, None: 3, b"x": 4, (1, 2): 5, "a_|-b": {"result": False}},
    "nothing but a result": {"a_|-b_|-c_|-d": {"result": False}},
    "a command of many lines": failed('Command "' + "a\n" * 500 + '" run'),
    "an id of many lines": {"cmd_|-a\nb_|-c\nd_|-run": {"result": False, "__id__": "a\nb", "name": "c\n" * 400}},
    "a minion with a name of many lines": {
        "salt_|-a_|-b_|-state": {
            "result": False,
            "changes": {"ret": {"a\nb\x1b[31m\ud800" + "z" * 5_000: failed("no")}},
        }
    },
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_still_failed(name: str) -> None:
    for failures in (
        explain(ODD[name], SUBJECT, shipped()),
        explain_document({"m\n\x9b": ODD[name]}, SUBJECT, shipped()),
    ):
        assert failures
        check(failures)


@pytest.mark.parametrize(
    "character", ["\x1b[2J", "\x9b31m", "\x07", "\x00", "\u202e", "\u2066", "\ud83d", "\x85", "\u2028", "\r"]
)
def test_no_character_reaches_a_terminal_that_does_more_than_be_read(character: str) -> None:
    text = f"error: a{character}b"
    check(explain(failed(text, name=text, __id__=text), SUBJECT, shipped()))
    check(explain([text], SUBJECT, shipped()))
    check(explain_document({f"m{character}": failed(text)}, SUBJECT, shipped()))
    check(explain_document({"ok": False, "error": {"code": text, "message": text, "detail": text}}, SUBJECT, shipped()))
    check([salt_refused("cart-web-1", "create-failed", text, text, shipped())])


CANARY = "c4n4ryC4N4RYc4n4ryC4N4RYc4n4ryC4N4RYc4n4ry"
SECRETS = [
    f"password={CANARY}", f'"db_password": "{CANARY}, {CANARY}"', f"{{'token': '{CANARY}'}}", f"DB_PASS={CANARY}",
    f"--api-key={CANARY}", f"AWS_SECRET_ACCESS_KEY = {CANARY}", f"Authorization: Bearer {CANARY}",
    f"Authorization: Basic {CANARY}=", f"https://bot:{CANARY}@git.example.org/x.git", f"https://{CANARY}@git.example.org/",
    f"https://bot:p@{CANARY}@git.example.org/x", f"ghp_{CANARY}", f"github_pat_{CANARY}", f"glpat-{CANARY}",
    f"xoxb-{CANARY}", f"npm_{CANARY}", f"pypi-{CANARY}", f"hvs.{CANARY}", f"sk-{CANARY}",
    f"https://hooks.slack.com/services/T0/B0/{CANARY}", f"eyJhbGciOiJIUzI1NiJ9.{CANARY}.{CANARY}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n{CANARY}", f"{CANARY}\n{CANARY}=\n-----END OPENSSH PRIVATE KEY-----",
]  # fmt: skip


def everywhere(said: str) -> Iterator[list[Failure]]:
    """What is told when `said` stands in each of the places where it may."""
    yield explain(failed(said, name=said, __id__=said, data={"log": said, "body": said}), SUBJECT, shipped())
    yield explain(failed("no", changes={"stderr": said, "stdout": said}), SUBJECT, shipped())
    yield explain([said], SUBJECT, shipped())
    yield explain(said, SUBJECT, shipped())
    yield explain({"what": {"deep": [said]}}, SUBJECT, shipped())
    yield explain_document({"return": [f"Exception occurred in runner x: {said}"]}, SUBJECT, shipped())
    yield explain_document({"status": 500, "body": said}, SUBJECT, shipped())
    yield explain_document({said: failed(said)}, SUBJECT, shipped())
    yield [salt_refused("cart-web-1", "create-failed", said, said, shipped())]
    yield [no_return("cart-web-1", "5m", said, shipped()), never_started("cart-web-1", "5m", said, shipped())]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:14])
def test_no_secret_is_told(secret: str) -> None:
    for failures in everywhere(f"fatal: it broke: {secret}\nerror: {secret}"):
        assert failures
        assert CANARY not in json.dumps([each.to_data() for each in failures])


@pytest.mark.parametrize(
    "secret", [*SECRETS[:2], *SECRETS[6:9], *SECRETS[11:14], SECRETS[21]], ids=lambda secret: secret[:14]
)
@pytest.mark.parametrize("cut", [LONGEST_LINE // 2, MOST // 4, 4_000, 60_000 - MOST * 3 // 4])
def test_half_a_secret_is_told_neither(secret: str, cut: int) -> None:
    """Where a text is shortened, a part of a secret could be left that looks like none."""
    for shift in range(0, len(secret) + 8, 11):
        begin = cut - shift
        line = "x" * (begin - 1) + " " if cut == LONGEST_LINE // 2 else "error: x\n" * (begin // 9) + " " * (begin % 9)
        said = line + secret + " " + ("x" if cut == LONGEST_LINE // 2 else "y\n") * 60_000
        for text in (said[:60_000], said[:1_800]):
            told = json.dumps([each.to_data() for each in explain(failed(text), SUBJECT, shipped())])
            assert not any(CANARY[at : at + 12] in told for at in range(0, len(CANARY) - 12)), (cut, shift)


def test_of_many_servers_some_are_named() -> None:
    one = [Failure("c", f"web-{number}: no", servers=(f"web-{number}",)) for number in range(3_000)]
    (grouped,) = group(one)
    assert grouped.title == "web-0, web-1, web-10, web-100, web-1000 and 2,995 others: no"
    assert len(grouped.servers) == 3_000
    (short,) = group([Failure("c", f"{server}: no webapi", servers=(server,)) for server in ("web", "api")])
    assert short.title == "api and web: no webapi"


def test_that_some_of_the_servers_went_well_is_not_forgotten() -> None:
    well = {"cmd_|-a_|-a_|-run": {"result": True}}
    some = {**{f"web-{number}": failed("boom") for number in range(3)}, "web-9": well}
    assert explain_document(some, Subject(), shipped())[0].title.startswith("web-0, web-1 and web-2: ")
    assert explain_document({**some, "web-9": failed("boom")}, Subject(), shipped())[0].title.startswith(
        "all 4 servers: "
    )


def test_of_very_many_causes_some_are_named_beside_the_first() -> None:
    many = [
        Failure(f"c{number}", f"web: {number} " + "x" * 480, "y" * 900, evidence="\n".join("e" * 20))
        for number in range(50)
    ]
    found = leading(many)
    assert "There are 49 other causes beside it." in found.explanation
    assert len(found.evidence.splitlines()) <= 30
    assert len(found.evidence) <= 32_000
