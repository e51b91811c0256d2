"""Root causes, from returns as Salt 3008.3 gives them (shapes: reference of real returns, shortened)."""

from orchestrator.domain.failures import Failure, Subject, group, leading, nearest_branches
from orchestrator.domain.failures import explain as explain_with
from tests.failures.corpus import shipped

SUBJECT = Subject("cart-web-1", "web", "feature/crat", "https://git.example.org/shop/web.git", ("feature/cart", "main"))
REQUISITE = {"result": False, "__state_ran__": False, "comment": "One or more requisite failed: app.checkout.checkout"}


def explain(ret: object, subject: Subject, retcode: int = 0) -> list[Failure]:
    return explain_with(ret, subject, shipped(), retcode)


CHECKOUT = "git_|-checkout_|-https://git.example.org/shop/web.git_|-latest"


def test_one_misspelt_branch_is_one_failure_of_three_lines() -> None:
    ret = {
        CHECKOUT: {
            "result": False,
            "comment": "No revision matching 'feature/crat' exists in the remote repository",
            "__id__": "checkout",
            "__run_num__": 0,
        },
        "brinepool_app_|-build_|-build_|-built": REQUISITE | {"__id__": "build", "__run_num__": 2},
        "service_|-service_|-shop-web_|-running": REQUISITE | {"__id__": "service", "__run_num__": 3},
        "cmd_|-x_|-x_|-run": {"result": True, "__state_ran__": False, "comment": "onfail req did not change"},
    }
    (failure,) = explain(ret, SUBJECT)
    assert failure.lines == [
        "web: there is no branch “feature/crat” in https://git.example.org/shop/web.git.",
        "The nearest branch is feature/cart.",
        "Ask again with a branch that exists, or push this one first.",
    ]


def test_success_and_test_mode_have_no_failures() -> None:
    assert explain({"a_|-b_|-c_|-d": {"result": True}, "e_|-f_|-g_|-h": {"result": None}}, SUBJECT) == []


def test_independent_causes_come_in_the_order_in_which_they_ran() -> None:
    ret = {
        "cmd_|-late_|-x_|-run": {
            "result": False,
            "comment": 'Command "x" run',
            "__run_num__": 5,
            "changes": {"stderr": "boom"},
        },
        "cmd_|-early_|-y_|-run": {"result": False, "comment": "no", "__run_num__": 1},
    }
    early, late = explain(ret, SUBJECT)
    assert "“early”" in early.title
    assert "boom" in late.evidence


def test_a_state_without_id_is_named_by_its_key() -> None:
    ret = {"git_|-checkout_|-u_|-latest": {"result": False, "comment": "Missing parameter target for state git.latest"}}
    assert "“checkout”" in explain(ret, SUBJECT)[0].title


def test_render_errors_and_strings_are_for_ops() -> None:
    rendered = explain(["Rendering SLS 'base:app.build' failed: Jinja variable 'x' is undefined"], SUBJECT)
    assert (rendered[0].code, rendered[0].audience) == ("jinja-undefined", "ops")
    assert explain(["Something nobody knows"], SUBJECT)[0].code == "states-do-not-render"
    assert explain("Passed invalid arguments to brinepool.highstate", SUBJECT)[0].code == "arguments-wrong"
    assert explain("It broke.", SUBJECT)[0].code == "highstate-broke"
    busy = explain(['The function "state.highstate" is running as PID 12 and was started at 2026'], SUBJECT)
    assert busy[0].code == "highstate-running"


def test_only_consequences_still_count_as_a_failure() -> None:
    assert explain({"a_|-b_|-c_|-d": REQUISITE}, SUBJECT)[0].code == "state-failed"


def test_what_is_no_state_run_is_a_failure_of_its_own() -> None:
    assert explain({"minion": "what is this"}, SUBJECT)[0].code == "highstate-broke"
    assert explain({"a_|-b_|-c_|-d": {"result": True}}, SUBJECT, retcode=2)[0].code == "highstate-broke"
    assert explain(False, SUBJECT)


def test_of_several_causes_on_one_server_the_first_is_told_and_the_others_are_in_the_evidence() -> None:
    first = leading([Failure("one", "a: one", "why", evidence="e"), Failure("two", "a: two", "because")])
    assert first.explanation == "why There is 1 other cause beside it."
    assert first.evidence == "e\nAlso: a: two because"


def test_the_same_cause_on_several_servers_is_told_once() -> None:
    def one(server: str) -> Failure:
        return Failure("create-failed", f"{server}: quota exceeded", servers=(server,))

    (grouped,) = group([one("a-web-1"), one("a-web-2"), one("a-api-1")])
    assert grouped.servers == ("a-api-1", "a-web-1", "a-web-2")
    assert grouped.title == "a-api-1, a-web-1 and a-web-2: quota exceeded"
    assert len(group([one("a-web-1"), Failure("other", "x")])) == 2
    (all_of_them,) = group([one("a-web-1"), one("a-web-2"), one("a-api-1")], of=3)
    assert all_of_them.title == "all 3 servers: quota exceeded"


def test_failures_survive_the_way_through_json() -> None:
    failure = Failure("c", "t", "e", "a", "ops", ("s",), "ev")
    assert Failure.from_data(failure.to_data()) == failure


def test_nearest_branches() -> None:
    names = ["main", "feature/cart", "feature/tax", "Hotfix/1.2"]
    assert nearest_branches("feature/crat", names)[0] == "feature/cart"
    assert nearest_branches("hotfix/1.3", names)[0] == "Hotfix/1.2"
    assert nearest_branches("zzz", names) == ["Hotfix/1.2", "feature/cart", "feature/tax"]
    assert nearest_branches("x", []) == []
