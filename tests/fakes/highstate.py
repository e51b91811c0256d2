"""What a highstate of a fake minion returns, in the shapes that Salt 3008.3 really gives."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.domain.record import Record
from tests.fakes.misbehaviour import FailsDuringHighstate

STATES = ("checkout", "env", "build", "service-definition", "service", "health")
_FUNCTIONS = {
    "checkout": "git.latest", "env": "brinepool_app.env_file", "build": "brinepool_app.built",
    "service-definition": "file.managed", "service": "service.running", "health": "brinepool_app.healthy",
}  # fmt: skip


def highstate_of(record: Record, states: Sequence[str], failure: FailsDuringHighstate | None) -> dict[str, Any]:
    """The state dict: everything went well up to `failure`'s state, and nothing after it was run."""
    failed_at = states.index(failure.state) if failure and failure.state in states else len(states)
    return {
        _key(record, name): _state(record, name, number, failed_at, states, failure)
        for number, name in enumerate(states)
    }


def progress_of(state: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The data of the progress event: what a minion fires arrives wrapped in `data`."""
    return {"data": {"ret": dict(state), "len": count}, "cmd": "_minion_event", "tag": "prog"}


def commit_of(branch: str) -> str:
    """The commit that the fake repositories have at the tip of a branch."""
    return hashlib.sha1(branch.encode(), usedforsecurity=False).hexdigest()


def _state(
    record: Record, name: str, number: int, failed_at: int, states: Sequence[str], failure: FailsDuringHighstate | None
) -> dict[str, Any]:
    common = {
        "__id__": name, "__sls__": "app", "__run_num__": number, "name": _name(record, name),
        "start_time": "09:41:17.123456", "duration": 12.3, "changes": {},
    }  # fmt: skip
    if number > failed_at:
        blamed = f"app.{states[failed_at]}"
        return {**common, "result": False, "comment": f"One or more requisite failed: {blamed}", "__state_ran__": False}
    if number == failed_at and failure:
        return {**common, "result": False, "comment": _comment(record, failure), "changes": failure.changes}
    data = {"data": {"commit": commit_of(record.branch)}} if name == "build" else {}
    return {**common, "result": True, "comment": "All is as it should be", **data}


def _comment(record: Record, failure: FailsDuringHighstate) -> str:
    missing = f"No revision matching '{failure.branch or record.branch}' exists in the remote repository"
    return failure.comment or (missing if failure.state == "checkout" else "It failed")


def _name(record: Record, name: str) -> str:
    return record.repository if name == "checkout" else name


def _key(record: Record, name: str) -> str:
    module, function = _FUNCTIONS.get(name, "test.succeed").split(".")
    return f"{module}_|-{name}_|-{_name(record, name)}_|-{function}"
