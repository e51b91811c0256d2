"""Not recorded: shapes of other Salt releases and words of clouds, as public threads show them."""

from pathlib import Path

import pytest

from orchestrator.domain.failures import Subject, explain, explain_document, never_started, salt_refused
from tests.failures.corpus import shipped
from tests.failures.test_corpus import NOT_SEEN_YET

SUBJECT = Subject("cart-web-1", "web", "main", "https://git.example.org/shop/web.git")


def codes(ret: object) -> list[str]:
    return [each.code for each in explain(ret, SUBJECT, shipped())]


def test_before_2016_a_waiting_state_had_no_mark_that_it_did_not_run() -> None:
    """github.com/saltstack/salt/pull/18365 and /issues/32974."""
    cause = {"result": False, "comment": 'Command "exit 1" run', "changes": {"stderr": "boom"}, "__run_num__": 0}
    for more in ("", ": test.third", ": {'test.fail_one': \"State 'foo.run' found in SLS 'test' is unavailable\\n\"}"):
        comment = f"One or more requisite failed{more}"
        ret = {"cmd_|-one_|-exit 1_|-run": cause, "foo_|-two_|-two_|-run": {"result": False, "comment": comment}}
        assert codes(ret) == ["command-failed"]


@pytest.mark.parametrize(
    "said",
    [
        "Minion did not return. [No response]",  # salt issues 27340 and 56467
        "Minion did not return. [Not connected]",  # flutter issue 120475
        "Minion did not return. [Failed]",
        "Minion did not return. [No response]\nThe minions may not have all finished running and any remaining",
    ],
)
def test_a_minion_that_did_not_return(said: str) -> None:
    (failure,) = explain_document({"cart-web-1": said}, Subject(), shipped())
    assert failure.code == "minion-no-return"
    assert failure.servers == ("cart-web-1",)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        # salt-ci-images issue 716
        ("cloud-quota", "AWS Response Status Code and Error: [400 400 Client Error: Bad Request] {'Errors': {'Error': "
         "{'Message': 'You have requested more instances (21) than your current instance limit of 20 allows', 'Code': "
         "'InstanceLimitExceeded'}}}"),
        # salt issue 36742
        ("cloud-throttled", "AWS Response Status Code and Error: [503 503 Server Error] {'Errors': "
         "{'Error': {'Message': 'Request limit exceeded.', 'Code': 'RequestLimitExceeded'}}}"),
        # Codes of the EC2 API, from its reference.
        ("cloud-image-unknown", "InvalidAMIID.NotFound: The image id '[ami-0]' does not exist"),
        ("cloud-login-refused", "AuthFailure: AWS was not able to validate the provided access credentials"),
        ("cloud-no-capacity", "InsufficientInstanceCapacity: there is no Spot capacity available"),
        ("cloud-network", "InvalidSubnetID.NotFound: The subnet ID 'subnet-0' does not exist"),
        # salt issues 8576 and 27121, salt-cloud pull request 434
        ("cloud-image-unknown", "AWS Response Status Code and Error: [400 400 Client Error: Bad Request] {'Errors': "
         "{'Error': {'Message': \"The image id '[ami-00001234]' does not exist\", 'Code': 'InvalidAMIID.NotFound'}}}"),
        ("cloud-quota", "{'Errors': {'Error': {'Message': 'The maximum number of addresses has been reached.', 'Code': "
         "'AddressLimitExceeded'}}}"),
        ("cloud-login-refused", "{'Errors': {'Error': {'Code': 'AuthFailure', 'Message': 'Not authorized'}}}"),
        # skyplane issue 299
        ("cloud-no-capacity", "An error occurred (InsufficientInstanceCapacity) when calling RunInstances"),
        ("cloud-size-unknown", "Invalid size: m9.huge"),
        ("cloud-name-taken", "cart-web-1 already exists under the provider ec2"),
        ("cloud-profile-unknown", "Profile large is not defined"),
    ],
)  # fmt: skip
def test_what_a_cloud_refuses(code: str, words: str) -> None:
    failure = salt_refused("cart-web-1", "create-failed", "The cloud did not make cart-web-1.", words, shipped())
    assert failure.code == code
    assert failure.title.startswith("cart-web-1: ")
    (alone,) = explain_document({"return": [{"Error": words}]}, Subject(), shipped())  # as salt-cloud's runner gives it
    assert alone.code == code


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("make-no-makefile", "make: *** No targets specified and no makefile found.  Stop."),
        ("npm-conflict", "npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree"),
        ("git-lock", "fatal: Unable to create '/srv/shop-web/checkout/.git/index.lock': File exists."),
        ("git-owner", "fatal: detected dubious ownership in repository at '/srv/shop-web/checkout'"),
        ("package-manager-busy", "E: Could not get lock /var/lib/dpkg/lock-frontend"),
        ("too-many-files", "OSError: [Errno 24] Too many open files"),
        ("file-system-read-only", "touch: cannot touch 'x': Read-only file system"),
        ("python-import", "ImportError: cannot import name 'rates' from 'tax'"),
        ("compiler-header", "main.c:1:10: fatal error: brine.h: No such file or directory"),
        ("name-unknown", "psql: Temporary failure in name resolution"),
        (
            "npm-lock-outdated",
            "npm error `npm ci` can only install packages when your package.json and "
            "package-lock.json or npm-shrinkwrap.json are in sync.",
        ),
        ("npm-unknown-package", "npm error 404  'no-such-thing@*' is not in this registry."),
        ("node-syntax", "/srv/shop-web/checkout/server.js:3\nlet let = 1\n    ^^^\n\nSyntaxError: Unexpected token"),
        ("out-of-memory", "[ 1.2] Out of memory: Killed process 42 (node)"),
        ("pip-invalid-requirement", "ERROR: Invalid requirement: 'flask=>1'"),
        ("certificate-untrusted", "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
    ],
)
def test_programs_that_are_not_in_the_corpus(code: str, text: str) -> None:
    ret = {"cmd_|-build_|-x_|-run": {"result": False, "comment": 'Command "x" run', "changes": {"stderr": text}}}
    assert codes(ret) == [code]


@pytest.mark.parametrize(
    ("code", "ret"),
    [
        # salt issues 12480 and 62264: until 3005 a requisite that is not there is told by the state that has it.
        ("requisite-not-found", {"cmd_|-foo_|-echo_|-run": {"result": False, "changes": {}, "comment":
         "The following requisites were not found:\n                   require:\n                       sls: bar\n"}}),
        # salt issues 28792 and 66132
        ("state-unknown", {"pkg_|-a_|-a_|-installed": {"result": False, "comment":
         "State 'pkg.installed' was not found in SLS 'common'\nReason: 'pkg' __virtual__ returned False\n"}}),
        # salt issue 33672
        ("states-do-not-render", ["Specified state 'muh.maeh' was not found"]),
        # salt issue 34362
        ("highstate-running", ['The function "state.highstate" is running as PID 12303 and was started at 2016']),
        # salt issue 36868: no master_tops yet
        ("top-matches-nothing", {"no_|-states_|-states_|-None": {"result": False, "changes": {}, "comment":
         "No Top file or external nodes data matches found.", "name": "No States", "__run_num__": 0}}),
        # salt issue 59339: the header and the messages in one list, with empty ones between
        ("pillar-refused", ["Pillar failed to render with the following messages:", "",
                            "Rendering SLS 'roles.db' failed. Please see master log for details."]),
        # salt issue 50989
        ("state-stumbled", {"junos_|-a_|-a_|-cli": {"result": False, "comment":
         "An exception occurred in this state: Traceback (most recent call last):\n  File \"/usr/lib/python2.7/"
         "site-packages/salt/state.py\", line 1913, in call\nOSError: it broke\n"}}),
        # salt issue 33760
        ("function-stumbled", "The minion function caused an exception: Traceback (most recent call last):\n  File "
         "\"/usr/lib/python2.7/dist-packages/salt/minion.py\", line 1161, in _thread_return\nKeyError: 'file.'\n"),
        ("check-failed", {"cmd_|-a_|-a_|-run": {"result": False, "comment": "check_cmd determined the state failed"}}),
        ("env-missing", {"brinepool_app_|-a_|-a_|-built": {"result": False, "comment":
         "The master gave this server no env for shop-web."}}),
    ],
)  # fmt: skip
def test_states_and_functions_of_other_releases(code: str, ret: object) -> None:
    assert codes(ret) == [code]


def test_a_state_that_may_only_be_told_what_it_would_do_has_not_failed() -> None:
    """result is None, and changes is a list or a text: salt pull request 18365, salt issue 43204."""
    assert codes({"cmd_|-a_|-a_|-run": {"result": None, "changes": [], "comment": "would have been executed"}}) == []
    assert codes({"cmd_|-a_|-a_|-run": {"result": False, "changes": ["a"], "comment": "no"}}) == ["command-failed"]
    assert codes({"salt_|-a_|-a_|-state": {"result": False, "changes": "{}", "comment": "no"}}) == ["state-failed"]


def test_an_orchestration_before_2018_tells_what_failed_in_its_comment_only() -> None:
    """salt issue 44451, pull request 39413."""
    step = {"result": False, "changes": {}, "comment": "Run failed on minions: www2\nFailures:\n    www2:\n        no"}
    (failure,) = explain_document({"outputter": "highstate", "data": {"master": {"salt_|-a_|-a_|-state": step}}},
                                  Subject(), shipped())  # fmt: skip
    assert failure.code == "state-failed"
    assert "Run failed on minions: www2" in failure.explanation


def test_an_orchestrated_function_that_failed_is_false_or_a_list_of_the_minion() -> None:
    """salt issue 20615, pull request 69425."""
    step = {"result": False, "changes": {"out": "highstate", "ret": {"web-1": False, "web-2": ["SLS failed"]}},
            "comment": "Run failed on minions: web-1, web-2"}  # fmt: skip
    found = explain({"salt_|-a_|-user.add_|-function": step}, Subject("master"), shipped())
    assert [(each.code, each.servers) for each in found] == [
        ("minion-no-return", ("web-1",)), ("states-do-not-render", ("web-2",)),
    ]  # fmt: skip


def test_a_minion_whose_log_says_that_the_master_is_silent() -> None:
    log = "2020-01-01 [ERROR] Attempt to authenticate with the salt master failed with timeout error"
    assert never_started("web-1", "5m", log, shipped()).code == "minion-master-silent"


def test_a_runner_that_the_master_does_not_have() -> None:
    (failure,) = explain_document({"return": ["'brinepool.create' is not a valid runner"]}, Subject(), shipped())
    assert failure.code == "runner-unknown"


def test_every_entry_that_was_not_recorded_has_a_message_here() -> None:
    source = Path(__file__).read_text()
    assert [code for code in sorted(NOT_SEEN_YET) if f'"{code}"' not in source] == []
