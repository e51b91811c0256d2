"""How long it takes to explain a large failed highstate, beside reading it as JSON; needs no installation."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.curated.failures import CuratedCatalogue
from orchestrator.domain.failures import Catalogue, Subject, explain
from orchestrator.settings import CHECKOUT

STATES, DEPENDENT = 1_000, 400
TITLE = f"explaining a highstate of {STATES:,} states, of which {DEPENDENT} wait for one that failed"
WAITS = "One or more requisite failed: app.checkout.checkout"
_SUBJECT = Subject("cart-test-web-1", "web", "feature/cart", "https://git.example.org/shop/web.git", ("main",))


def measure(rounds: int) -> Mapping[str, Sequence[float]]:
    """What was measured → a value for each round. The first round is a warm-up and not counted."""
    text, catalogue = json.dumps(highstate()), CuratedCatalogue(CHECKOUT / "failures").current().catalogue
    measured: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        parsing, explaining = _took(lambda: json.loads(text)), _took(lambda: _explained(json.loads(text), catalogue))
        found = {
            "reading the JSON, milliseconds": parsing,
            "explaining it, milliseconds": explaining - parsing,
            "explaining : reading, ratio": (explaining - parsing) / parsing,
        }
        for name, value in found.items() if number else ():
            measured.setdefault(name, []).append(value)
    return measured


def highstate() -> dict[str, Any]:
    """What a minion returns: one checkout failed, so 400 states did not run; the others went well."""
    checkout = {
        "__id__": "checkout", "__sls__": "app.checkout", "__run_num__": 599, "result": False, "changes": {},
        "name": "https://git.example.org/shop/web.git", "duration": 12.3, "start_time": "09:41:17.123456",
        "comment": "No revision matching 'feature/crat' exists in the remote repository",
    }  # fmt: skip
    states: dict[str, Any] = {"git_|-checkout_|-https://git.example.org/shop/web.git_|-latest": checkout}
    for number in range(STATES - 1):
        waits = number < DEPENDENT
        state = {
            "__id__": f"state-{number}", "__sls__": "app.more", "__run_num__": number, "result": not waits,
            "name": f"/srv/shop/{number}", "duration": 12.3, "start_time": "09:41:17.123456", "changes": {},
            "comment": WAITS if waits else "The file is in the correct state",
        }  # fmt: skip
        states[f"file_|-state-{number}_|-/srv/shop/{number}_|-managed"] = (
            state | {"__state_ran__": False} if waits else state
        )
    return states


def _explained(states: object, catalogue: Catalogue) -> None:
    (failure,) = explain(states, _SUBJECT, catalogue)
    assert failure.code == "branch-missing"  # noqa: S101  (what is measured must be right)


def _took(work: Callable[[], object]) -> float:
    """Milliseconds; the quickest of some, as anything else that happens only adds to it."""
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        work()
        best = min(best, (time.perf_counter() - began) * 1000)
    return best
