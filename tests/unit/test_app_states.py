"""The states of an app: what they refuse, when they build, and what they never say."""

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from salt.utils.secret import REDACT_PLACEHOLDER

from orchestrator.domain.masking import Masker
from orchestrator.saltext.modules import brinepool as module
from orchestrator.saltext.states import brinepool_app as states

SECRET = "hunter22"


@pytest.fixture
def minion(monkeypatch):
    """The state module as Salt loads it; `minion["status"]` says whether the service runs."""
    facts = {"status": True, "env": {"TOKEN": SECRET, "PORT": "8000"}, "commit": "a" * 40}
    functions = {
        "brinepool.mask": lambda text: Masker([SECRET]).text(text),
        "brinepool.last_words": module.last_words,
        "git.revision": lambda *_args, **_kwargs: facts["commit"],
        "service.status": lambda _name: facts["status"],
    }
    for name, value in (("__salt__", functions), ("__opts__", {"test": False}), ("__pillar__", {"brinepool": facts})):
        monkeypatch.setattr(states, name, value, raising=False)
    return facts


@pytest.fixture
def app(tmp_path, minion):
    """A checkout that can be built: `app(build=[...])`."""
    (tmp_path / "checkout").mkdir()

    def built(**options):
        assert states.env_file(str(tmp_path / ".env"))["result"]
        release = tmp_path / "release"
        done = states.built(
            str(tmp_path / "checkout"), str(tmp_path / ".env"), str(release), **{"run": "./run"} | options
        )
        if done["result"]:
            (tmp_path / "release.started").write_text(release.read_text())  # as the start script does
        return done

    built.checkout = tmp_path / "checkout"
    return built


def test_the_env_file_is_private_and_its_changes_are_names(minion, tmp_path):
    path = tmp_path / "app" / ".env"
    made = states.env_file(str(path))
    assert made["changes"] == {"variables": ["PORT", "TOKEN"]}
    assert (path.stat().st_mode & 0o777, path.read_text()) == (0o600, f"TOKEN={SECRET}\nPORT=8000\n")
    minion["env"] |= {"TOKEN": "x\u2028y=other secret"}
    changed = states.env_file(str(path))
    assert changed["changes"] == {"variables": ["TOKEN"]}
    assert states.env_file(str(path))["changes"] == {}
    path.chmod(0o644)
    assert states.env_file(str(path))["changes"] == {"file": "written"}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("value", [REDACT_PLACEHOLDER, f"{SECRET}\nsecond line"])
def test_a_mask_or_a_line_break_is_never_written(minion, tmp_path, value):
    minion["env"]["TOKEN"] = value
    refused = states.env_file(str(tmp_path / ".env"))
    assert refused["result"] is False
    assert "TOKEN" in refused["comment"]
    assert SECRET not in refused["comment"]
    assert not (tmp_path / ".env").exists()


def test_a_build_has_the_env_in_force_and_the_checkout_around_it(app):
    assert app(build=['echo "$TOKEN" > token', "pwd > where"])["result"] is True
    assert (app.checkout / "token").read_text() == f"{SECRET}\n"
    assert (app.checkout / "where").read_text().strip() == str(app.checkout)


def test_it_builds_only_when_commit_env_or_lines_changed(app, minion):
    count = ["echo x >> builds"]
    assert set(app(build=count)["changes"]) == {"commit", "env", "build"}
    assert app(build=count)["changes"] == {}
    minion["commit"] = "b" * 40
    assert app(build=count)["changes"] == {"commit": {"old": "a" * 40, "new": "b" * 40}}
    minion["env"]["PORT"] = "8001"
    assert app(build=count)["changes"] == {"env": "changed"}
    assert (app.checkout / "builds").read_text() == "x\n" * 3
    assert app(build=count, run="./other")["changes"] == {"run": "changed"}
    assert (app.checkout / "builds").read_text() == "x\n" * 3
    assert app(build=count, run="./other")["data"] == {"commit": "b" * 40}


def test_a_failed_build_says_where_and_masks_and_is_tried_again(app):
    lines = ["true", 'echo "token is $TOKEN"; exit 3', "touch never"]
    failed = app(build=lines)
    assert failed["result"] is False
    assert failed["comment"].startswith("Step 2 of 3 of the build failed: ")
    assert "It ended with exit code 3.\ntoken is ***" in failed["comment"]
    assert SECRET not in str(failed)
    assert failed["data"] == {"commit": "a" * 40}
    assert not (app.checkout / "never").exists()
    assert app(build=["true"])["result"] is True
    assert app(build=lines)["result"] is False
    assert app(build=["true"])["changes"], "what the failed build left must not pass for the earlier good one"


def test_an_app_that_runs_from_another_build_is_restarted(app):
    app()
    started = app.checkout.parent / "release.started"
    started.write_text("from another build")
    release = str(app.checkout.parent / "release")
    stale = states.built(str(app.checkout), str(app.checkout.parent / ".env"), release, run="./run")
    assert set(stale["changes"]) == {"restart"}


def test_locks_of_a_killed_git_are_removed_and_nothing_else(minion, tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".git" / "index.lock").touch()
    (tmp_path / ".git" / "refs" / "heads" / "deployed.lock").touch()
    (tmp_path / "poetry.lock").touch()
    assert states.unlocked(str(tmp_path))["changes"] == {"removed": ["index.lock", "refs/heads/deployed.lock"]}
    assert states.unlocked(str(tmp_path))["changes"] == {}
    assert (tmp_path / "poetry.lock").exists()


@pytest.fixture
def server():
    """A web server that answers with the codes it is given, the last one for ever."""
    codes = [200]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(codes.pop(0) if len(codes) > 1 else codes[0])
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    web = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}/", codes
    web.shutdown()
    web.server_close()


def test_health_waits_for_the_app(minion, server, tmp_path):
    url, codes = server
    codes[:] = [503, 500, 204]
    assert states.healthy(url, str(tmp_path / "log"), "app", deadline=20)["result"] is True


def test_an_app_that_stays_unhealthy_is_told_with_its_last_words(minion, server, tmp_path):
    url, codes = server
    codes[:] = [503]
    (tmp_path / "log").write_text(f"old\n--- started\nno database\nno database\ntoken {SECRET}\n")
    failed = states.healthy(url, str(tmp_path / "log"), "app", deadline=1)
    assert failed["result"] is False
    assert failed["comment"].startswith(f"Not healthy: {url}: it answered 503 for 1 seconds.")
    assert failed["comment"].endswith("The end of the app's log:\nno database (2 times)\ntoken ***")


def test_an_app_that_does_not_stay_up_is_told_before_the_deadline(minion, monkeypatch, tmp_path):
    minion["status"] = False
    monkeypatch.setattr(states, "DOWN_SECONDS", 0.1)
    failed = states.healthy("http://127.0.0.1:9/", str(tmp_path / "log"), "app", deadline=600)
    assert "the app ends each time it is started" in failed["comment"]


def test_test_mode_changes_nothing(minion, tmp_path, monkeypatch):
    monkeypatch.setitem(states.__opts__, "test", True)
    assert states.env_file(str(tmp_path / ".env"))["result"] is None
    assert list(tmp_path.iterdir()) == []


def test_a_log_is_cut_at_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TAIL_BYTES", 20)
    (tmp_path / "log").write_text("a long first line with a secret\nshort\nlast\n")
    assert module.log_tail(str(tmp_path / "log"), 10) == "short\nlast"
    assert module.log_tail(str(tmp_path / "none"), 10) == ""
