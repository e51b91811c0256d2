"""The client: what it adds to pepper, and what becomes of every kind of bad answer."""

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from orchestrator.domain.errors import BadInput, Unavailable
from orchestrator.saltapi.client import SaltClient, password_file
from tests.fakes import misbehaviour as bad
from tests.fakes.saltapi import PASSWORD, USER, FakeSaltApi

INVENTORY = {"client": "runner", "fun": "brinepool.inventory", "timeout": 5}


@pytest.fixture
def client(fake: FakeSaltApi) -> Iterator[SaltClient]:
    client = SaltClient(fake.url, USER, lambda: PASSWORD)
    yield client
    client.close()


def refusal(client: SaltClient, seconds: float = 5.0) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        client.call(INVENTORY, seconds)
    return caught.value


def test_importing_it_leaves_tls_verification_on_and_is_quiet() -> None:
    program = (
        "import ssl; before = ssl._create_default_https_context; import orchestrator.saltapi.client\n"
        "assert ssl._create_default_https_context is before is ssl.create_default_context\n"
        "assert ssl._create_default_https_context().verify_mode == ssl.CERT_REQUIRED"
    )
    done = subprocess.run([sys.executable, "-W", "always", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pepper_alone_would_turn_tls_verification_off() -> None:
    """The reason for what the test above checks; when pepper stops doing this, the workaround can go."""
    program = "import pepper, ssl; print(ssl._create_default_https_context().verify_mode == ssl.CERT_NONE)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    assert done.stdout == "True\n"
    assert ssl._create_default_https_context().verify_mode == ssl.CERT_REQUIRED


def test_logs_in_once_for_many_calls_and_threads(fake: FakeSaltApi, client: SaltClient) -> None:
    threads = [threading.Thread(target=client.call, args=(INVENTORY,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.calls["runner brinepool.inventory"] == 16
    assert fake.logins == 1


def test_reuses_its_connection(fake: FakeSaltApi, client: SaltClient) -> None:
    for _ in range(10):
        client.call(INVENTORY)
    assert fake.connections == 1


def test_logs_in_again_when_the_token_expired(fake: FakeSaltApi, client: SaltClient) -> None:
    client.call(INVENTORY)
    fake.revoke_tokens()
    assert client.call(INVENTORY) == {"ok": True, "servers": []}
    assert fake.logins == 2


def test_many_threads_with_an_expired_token_log_in_once(fake: FakeSaltApi, client: SaltClient) -> None:
    client.call(INVENTORY)
    fake.revoke_tokens()
    threads = [threading.Thread(target=client.call, args=(INVENTORY,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.calls["runner brinepool.inventory"] == 17
    assert fake.logins == 2


def test_a_token_that_is_refused_twice_is_an_error_after_one_login(fake: FakeSaltApi, client: SaltClient) -> None:
    fake.salt.misbehave(bad.ExpiresTokens(after=0))
    assert refusal(client).code == "salt-login-refused"
    assert fake.logins == 2


def test_a_function_without_a_right_to_it_is_told_in_the_words_of_salt(client: SaltClient) -> None:
    with pytest.raises(Unavailable) as caught:
        client.call({"client": "runner", "fun": "cache.store"})
    assert caught.value.code == "salt-login-refused"
    assert caught.value.detail == "401: No permission -- see authorization schemes"


def test_a_wrong_password_is_refused_without_a_second_attempt(fake: FakeSaltApi) -> None:
    error = refusal(SaltClient(fake.url, USER, lambda: "wrong"))
    assert error.code == "salt-login-refused"
    assert f"“{USER}”" in error.message
    assert fake.logins == 1


@pytest.mark.parametrize(
    "body",
    ["<html>It works!</html>", "", "null", "[]", '"return"', '{"status": "fine"}', '{"return": []}', '{"return": [1]}'],
)
def test_nonsense_instead_of_a_login(fake: FakeSaltApi, client: SaltClient, body: str) -> None:
    fake.salt.misbehave(bad.AnswersNonsense(body))
    assert refusal(client).code == "salt-unanswered"


@pytest.mark.parametrize("body", ["<html>It works!</html>", "", "null", "[]", '{"status": "fine"}'])
def test_nonsense_instead_of_an_answer(fake: FakeSaltApi, client: SaltClient, body: str) -> None:
    client.call(INVENTORY)
    fake.salt.misbehave(bad.AnswersNonsense(body))
    error = refusal(client)
    assert error.code == "salt-unanswered"
    assert error.detail == body


def test_an_answer_that_takes_too_long(fake: FakeSaltApi, client: SaltClient) -> None:
    client.call(INVENTORY)
    fake.salt.misbehave(bad.AnswersSlowly(1.0, times=1))
    began = time.monotonic()
    assert refusal(client, seconds=0.1).code == "salt-unanswered"
    assert time.monotonic() - began < 0.9


def test_a_master_that_is_down(fake: FakeSaltApi, client: SaltClient) -> None:
    fake.salt.misbehave(bad.MasterDown())
    error = refusal(client)
    assert error.code == "salt-unreachable"
    assert error.detail == "Salt Master is not available."


def test_nobody_listens(fake: FakeSaltApi, client: SaltClient) -> None:
    fake.stop()
    error = refusal(client)
    assert error.code == "salt-unreachable"
    assert "brine up" in error.message


def test_a_function_that_salt_does_not_have(client: SaltClient) -> None:
    with pytest.raises(Unavailable) as caught:
        client.call({"client": "runner", "fun": "brinepool.nosuch"})
    assert caught.value.code == "salt-unanswered"
    assert "log" in caught.value.message


def test_a_restart_between_two_calls_is_not_noticed(fake: FakeSaltApi, client: SaltClient) -> None:
    client.call(INVENTORY)
    fake.stop()
    fake.start()
    assert client.call(INVENTORY) == {"ok": True, "servers": []}


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", ""])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(BadInput, match="not the URL of a salt-api"):
        SaltClient(url, USER, lambda: PASSWORD)


def test_no_proxy_is_asked_for_a_loopback_address(
    fake: FakeSaltApi, client: SaltClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert client.call(INVENTORY) == {"ok": True, "servers": []}


def test_the_password_is_read_at_each_login(tmp_path) -> None:
    file = tmp_path / "salt-api"
    read = password_file(file)
    with pytest.raises(Unavailable) as caught:
        read()
    assert caught.value.code == "salt-login-refused"
    file.write_text("first\n")
    assert read() == "first"
    file.write_text("second\n")
    assert read() == "second"
