"""Every recorded failure is told as it was decided, and the catalogue has nothing that nobody needs."""

import json
import re

import pytest

from orchestrator.curated.failures import CuratedCatalogue
from orchestrator.settings import CHECKOUT

from .corpus import Case, cases, shipped, told_of
from .table import unseen

FEWEST = 80
# Entries for what could not be produced here: a cloud's refusals, programs that are not installed, rare conditions.
# tests/unit/test_failures_shapes.py has messages of most, marked as not recorded.
NOT_SEEN_YET = frozenset(
    {
        "certificate-untrusted",
        "check-failed",
        "cloud-image-unknown",
        "cloud-login-refused",
        "cloud-name-taken",
        "cloud-network",
        "cloud-no-capacity",
        "cloud-profile-unknown",
        "cloud-quota",
        "cloud-size-unknown",
        "cloud-throttled",
        "compiler-header",
        "env-missing",
        "file-system-read-only",
        "function-stumbled",
        "git-lock",
        "git-owner",
        "make-no-makefile",
        "minion-master-silent",
        "name-unknown",
        "node-syntax",
        "npm-conflict",
        "npm-lock-outdated",
        "npm-unknown-package",
        "out-of-memory",
        "package-manager-busy",
        "pip-invalid-requirement",
        "python-import",
        "requisite-not-found",
        "runner-unknown",
        "too-many-files",
    }
)

OURS = ("example.org", ".invalid", "localhost", "master", ".saltproject.io", "www.w3.org", "www.cherrypy.dev")
CASES = cases()


def test_there_are_enough() -> None:
    assert len(CASES) >= FEWEST


def test_the_shipped_catalogue_is_right() -> None:
    assert CuratedCatalogue(CHECKOUT / "failures").current().problems == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_told_as_expected(case: Case) -> None:
    assert case.expected, f"{case.name}: nobody has decided yet what is to be told"
    assert told_of(case.explained(shipped())) == case.expected


def test_every_entry_was_seen_or_is_listed() -> None:
    assert set(unseen([(case, case.explained(shipped())) for case in CASES])) == NOT_SEEN_YET


def test_no_recording_names_the_machine_or_a_foreign_host() -> None:
    for case in CASES:
        text = json.dumps(case.recorded)
        for word in ("/tmp/", "/work/", "/opt/", "popen-"):
            assert word not in text, f"{case.name} has {word}"
        hosts = set(re.findall(r"(?:https?|ssh|git)://(?:[^/@\s]+@)?([\w.-]+)", text))
        strange = {host for host in hosts if not host.endswith(OURS) and not host.startswith("127.23.")}
        assert not strange, f"{case.name} names {strange}"
