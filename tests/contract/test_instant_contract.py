"""`InstantSalt` keeps the promises of the port `Salt` that it makes: the contract's own tests, run on it.

Left out is what it does not have: accounts and tokens, a salt-api that is away or restarts, and an event hub.
"""

import pytest

from tests.contract.test_saltapi_contract import (  # noqa: F401  (pytest finds them here)
    name,
    server,
    test_a_create_of_an_older_operation_is_superseded,
    test_a_highstate_tells_its_progress_and_returns,
    test_a_job_for_a_server_that_is_not_there,
    test_a_job_that_ended_is_told_again_and_to_others,
    test_a_job_that_nobody_runs_is_lost,
    test_a_job_that_salt_does_not_know,
    test_a_minion_that_is_not_there_has_not_started,
    test_a_minion_that_runs_has_started_whoever_asks_and_however_often,
    test_branches,
    test_branches_of_what_is_not_there,
    test_create_at_the_same_time_makes_one,
    test_create_is_idempotent_by_name,
    test_create_with_an_unknown_profile,
    test_destroy_is_idempotent_and_leaves_nothing,
    test_health,
    test_job_ids_are_of_salts_form_unique_and_ascending,
    test_no_news_is_an_empty_answer_in_time,
    test_put,
    test_the_boot_log_of_a_server,
    test_the_provider_of_every_profile,
    test_the_whole_of_a_job,
    test_there_may_be_nothing_to_kill,
    test_what_an_earlier_bearer_of_the_name_left_is_not_used,
    test_which_of_many_answer_is_told_in_one_call,
)
from tests.fakes.instant import InstantSalt
from tests.fakes.salt import TEMPLATES, branches_of_templates


class OneClient(InstantSalt):
    """Everybody who connects gets the same one."""

    def close(self) -> None:
        """Nothing is open."""


class InstantLeg:
    """As tests/contract/legs.py says."""

    patience = 5.0

    def __init__(self) -> None:
        self._salt = OneClient(branches_of_templates(TEMPLATES))

    def connect(self, password: str | None = None) -> OneClient:
        return self._salt


@pytest.fixture(scope="module")
def leg() -> InstantLeg:
    return InstantLeg()


@pytest.fixture(scope="module")
def salt(leg: InstantLeg) -> OneClient:
    return leg.connect()
