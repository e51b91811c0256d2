"""Every shape in which a return reaches us, with the server that it is about."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from orchestrator.domain.failures import Subject, explain_document
from orchestrator.domain.failures.unwrap import outcomes_of
from tests.failures.corpus import shipped

STATES = {
    "cmd_|-build_|-make_|-run": {"result": False, "comment": 'Command "make" run', "__id__": "build", "__run_num__": 0,
                                 "changes": {"stderr": "boom", "retcode": 2}},
    "cmd_|-start_|-start_|-run": {"result": False, "comment": "One or more requisite failed: app.build",
                                  "__run_num__": 1, "__state_ran__": False, "changes": {}},
}  # fmt: skip
FULL = {"ret": STATES, "retcode": 2, "out": "highstate", "jid": "20260101000000000000"}
EVENT = {
    "id": "web-1",
    "fun": "brinepool.highstate",
    "return": STATES,
    "retcode": 2,
    "success": False,
    "cmd": "_return",
}
JOB = {"jid": "20260101000000000000", "Function": "state.highstate", "Minions": ["web-1", "web-2"], "Target": "web-*",
       "Result": {"web-1": {"return": STATES, "retcode": 2, "success": False, "out": "highstate"}}}  # fmt: skip
ORCHESTRATED = {"outputter": "highstate", "data": {"master_master": {
    "salt_|-deploy_|-deploy_|-state": {"result": False, "comment": "Run failed on minions: web-1", "__id__": "deploy",
                                       "changes": {"out": "highstate", "ret": {"web-1": STATES}}}}}}  # fmt: skip
NESTED = {"outputter": "highstate", "data": {"master_master": {
    "salt_|-inner_|-state.orchestrate_|-runner": {"result": False, "comment": "Runner function failed",
                                                  "changes": {"return": {**ORCHESTRATED, "retcode": 1}}}}}}  # fmt: skip
LOGIN = "<html><head><title>401</title></head><body><h2>401 Unauthorized</h2><p>No permission</p></body></html>"
CASES: Mapping[str, tuple[Any, list[tuple[str, tuple[str, ...]]]]] = {
    "states and nothing else": (STATES, [("command-failed", ())]),
    "what `salt --out=json` prints": ({"web-1": STATES}, [("command-failed", ("web-1",))]),
    "with full_return": ({"web-1": FULL}, [("command-failed", ("web-1",))]),
    "a full return by itself": (FULL, [("command-failed", ())]),
    "salt-api": ({"return": [{"web-1": STATES}]}, [("command-failed", ("web-1",))]),
    "salt-api with full_return": ({"return": [{"web-1": FULL}]}, [("command-failed", ("web-1",))]),
    "jobs.lookup_jid": ({"return": [{"outputter": "highstate", "data": {"web-1": STATES}}]},
                        [("command-failed", ("web-1",))]),
    "GET /jobs/JID": ({"info": [JOB], "return": [{"web-1": STATES}]}, [("command-failed", ("web-1",))]),
    "jobs.list_job with a minion that is missing": ({"return": [JOB]},
                                                    [("command-failed", ("web-1",)), ("minion-no-return", ("web-2",))]),
    "an event": (EVENT, [("command-failed", ("web-1",))]),
    "an event with its tag": ({"tag": "salt/job/2026/ret/web-1", "data": EVENT}, [("command-failed", ("web-1",))]),
    "an orchestration": ({"return": [ORCHESTRATED]}, [("command-failed", ("web-1",))]),
    "an orchestration's job": ({"return": [{"data": {"return": ORCHESTRATED, "fun": "runner.state.orchestrate"},
                                            "outputter": "highstate"}]}, [("command-failed", ("web-1",))]),
    "an orchestration in an orchestration": ({"return": [NESTED]}, [("command-failed", ("web-1",))]),
    "a runner that raised": ({"return": ["Exception occurred in runner x.y: Traceback:\nKeyError"]},
                             [("runner-stumbled", ())]),
    "salt-cloud": ({"return": [{"Error": "Profile large is not defined"}]}, [("cloud-profile-unknown", ())]),
    "our runner, refusing": ({"return": [{"ok": False, "error": {"code": "create-failed", "message": "No machine.",
                                                                 "detail": "RequestLimitExceeded"}}]},
                             [("cloud-throttled", ())]),
    "no minion matched": ({"return": [{}]}, [("no-minion-matched", ())]),
    "a minion that is silent": ({"web-1": "Minion did not return. [No response]"}, [("minion-no-return", ("web-1",))]),
    "a minion that has not returned yet": ({"web-1": None, "web-2": STATES},
                                           [("minion-no-return", ("web-1",)), ("command-failed", ("web-2",))]),
    "render errors": ({"return": [{"web-1": ["No matching sls found for 'app' in env 'base'"]}]},
                      [("sls-missing", ("web-1",))]),
    "a function that Salt cannot call": ({"web-1": {"ret": "Passed invalid arguments to x.y: z", "retcode": 1}},
                                         [("arguments-wrong", ("web-1",))]),
    "a function that only says by its exit code that it failed": ({"web-1": {"ret": "x", "retcode": 1}},
                                                                  [("highstate-broke", ("web-1",))]),
    "a login that is refused": ({"status": 401, "body": LOGIN}, [("salt-api-login", ())]),
    "a server error": ({"status": 500, "body": json.dumps({"status": 500, "return": "An unexpected error occurred"})},
                       [("salt-api-broken", ())]),
    "an answer over HTTP": ({"status": 200, "body": json.dumps({"return": [{"web-1": STATES}]})},
                            [("command-failed", ("web-1",))]),
    "the same on all": ({f"web-{number}": STATES for number in (1, 2, 3)},
                        [("command-failed", ("web-1", "web-2", "web-3"))]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_cause_and_its_server_are_found(name: str) -> None:
    document, expected = CASES[name]
    found = explain_document(document, Subject(), shipped())
    assert [(each.code, each.servers) for each in found] == expected
    (again,) = [explain_document(json.loads(json.dumps(document)), Subject(), shipped())]
    assert again == found


@pytest.mark.parametrize(
    "document",
    [
        {"web-1": {"cmd_|-a_|-a_|-run": {"result": True}}}, {"web-1": {"ret": {}, "retcode": 0}}, {"web-1": True}, {},
        {"return": [{"web-1": "1.2.3"}]}, {"return": [{"tag": "salt/run/1", "jid": "1"}]}, {"ok": True, "value": 3},
        {"status": 200, "body": json.dumps({"return": [{"web-1": True}]})}, {"status": 202, "body": ""},
        {"info": [], "return": []}, {"return": [{"outputter": "nested", "data": {"web-1": {"a": 1}}}]},
    ],
)  # fmt: skip
def test_where_nothing_failed_nothing_is_told(document: Any) -> None:
    assert explain_document(document, Subject(), shipped()) == []


def test_what_went_well_is_an_outcome_too() -> None:
    well = {"cmd_|-a_|-a_|-run": {"result": True}}
    assert [(each.server, bool(each.causes)) for each in outcomes_of({"web-1": STATES, "web-2": well})] == [
        ("web-1", True), ("web-2", False),
    ]  # fmt: skip
