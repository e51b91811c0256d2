"""Reading what minions say."""

from typing import Any

import pytest

from orchestrator.ports import Job, JobReturn, StateProgress
from orchestrator.saltapi.hub import Event
from orchestrator.saltapi.returns import job_of, progress_of, retcode_of, return_of

PROGRESS = "salt/job/20261123065350648130/prog/a-web-1/3"
RETURN = "salt/job/20261123065350648130/ret/a-web-1"


def event(tag: str, data: dict[str, Any]) -> Event:
    return Event(1, tag, data, 1)


@pytest.mark.parametrize("wrapped", [True, False])
def test_progress(wrapped: bool) -> None:
    data = {"ret": {"__id__": "build", "__run_num__": 3, "name": "/srv", "result": None}, "len": 8}
    told = {"id": "a-web-1", "data": data} if wrapped else data
    assert progress_of(event(PROGRESS, told)) == StateProgress(n=4, of=8, name="build", ok=True)


def test_progress_stays_within_its_count_and_has_a_name() -> None:
    data = {"ret": {"__run_num__": 8, "name": "https://git.example.org/x.git", "result": False}, "len": 8}
    assert progress_of(event(PROGRESS, data)) == StateProgress(8, 8, "https://git.example.org/x.git", ok=False)


@pytest.mark.parametrize("data", [{}, {"ret": "text"}, {"ret": {"result": True}}, {"data": None}, {"data": "text"}])
def test_what_is_no_progress(data: dict[str, Any]) -> None:
    assert progress_of(event(PROGRESS, data)) is None


def test_the_retcode_of_the_event_counts() -> None:
    found = return_of(event(RETURN, {"return": "text", "retcode": 254}))
    assert found is not None
    assert (found.ret, found.retcode) == ("text", 254)
    assert return_of(event(RETURN, {"jid": "1"})) is None


@pytest.mark.parametrize(
    ("ret", "retcode"),
    [
        ({"a": {"result": True}, "b": {"result": None}}, 0),
        ({"a": {"result": True}, "b": {"result": False}}, 2),
        ({"no_|-states_|-states_|-None": {"result": False, "comment": "No Top file"}}, 2),
        (["Rendering SLS 'base:app' failed"], 1),
        (["Pillar failed to render with the following messages:", "x"], 5),
        ([], 1),
        ("'brinepool.highstate' is not available.", 1),
        ("The minion function caused an exception: Traceback", 1),
        ("listening on port 80", 0),
        (True, 0),
        (None, 0),
    ],
)
def test_the_retcode_of_what_the_cache_has(ret: Any, retcode: int) -> None:
    assert retcode_of(ret) == retcode


def test_a_job_with_what_each_minion_returned() -> None:
    states = {"a": {"result": False}}
    found = job_of("1", {"a-web-1": states, "a-web-2": "Minion did not return"})
    assert found == Job("1", {"a-web-1": JobReturn(states, 2), "a-web-2": None})


@pytest.mark.parametrize(("success", "retcode"), [(True, 0), (False, 1)])
def test_a_runner_s_job_tells_what_it_was(success: bool, retcode: int) -> None:
    event = {
        "fun": "runner.brinepool.put",
        "jid": "1",
        "fun_args": [{"records": []}],
        "return": "x",
        "success": success,
    }
    assert job_of("1", {"m_master": event}) == Job(
        "1", {"m_master": JobReturn("x", retcode)}, "runner.brinepool.put", ({"records": []},)
    )
