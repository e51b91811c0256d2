"""Not recorded: shapes of other Salt releases and words of clouds, as public threads show them."""

import pytest

from orchestrator.domain.failures import Subject, explain, explain_document, salt_refused
from tests.failures.corpus import shipped

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
    ],
)  # fmt: skip
def test_what_a_cloud_refuses(code: str, words: str) -> None:
    failure = salt_refused("cart-web-1", "create-failed", "The cloud did not make cart-web-1.", words, shipped())
    assert failure.code == code
    assert failure.title.startswith("cart-web-1: ")


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
        ("certificate-untrusted", "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
    ],
)
def test_programs_that_are_not_in_the_corpus(code: str, text: str) -> None:
    ret = {"cmd_|-build_|-x_|-run": {"result": False, "comment": 'Command "x" run', "changes": {"stderr": text}}}
    assert codes(ret) == [code]
