"""The states of an app: what they refuse, when they build, and what they never say."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from salt.utils.secret import REDACT_PLACEHOLDER

from orchestrator.domain.masking import Masker
from orchestrator.saltext import health
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
    assert failed["data"] == {
        "commit": "a" * 40, "step": 2, "of": 3, "line": lines[1], "exit": 3, "output": "token is ***",
    }  # fmt: skip
    assert not (app.checkout / "never").exists()
    assert app(build=["true"])["result"] is True
    assert app(build=lines)["result"] is False
    assert app(build=["true"])["changes"], "what the failed build left must not pass for the earlier good one"


@pytest.mark.parametrize(
    ("line", "code", "sentence"),
    [
        ("no-such-program --now", 127, "It ended with exit code 127: a program in it was not found."),
        ("touch it; ./it", 126, "It ended with exit code 126: a program in it is not executable."),
        ("kill -9 $$", -9, "It was killed (signal 9), perhaps for want of memory."),
        ("sh -c 'kill -9 $$'", -9, "It was killed (signal 9), perhaps for want of memory."),
        ("sh -c 'kill -SEGV $$'", -11, "It was ended by signal 11 (Segmentation fault)."),
        ("exit 255", 255, "It ended with exit code 255."),
    ],
)
def test_how_a_build_ended_is_told(app, line, code, sentence):
    failed = app(build=[line])
    assert failed["data"]["exit"] == code
    assert failed["comment"].split("\n")[:2] == [f"Step 1 of 1 of the build failed: {line}", sentence]


def test_of_a_build_that_never_stops_printing_the_end_is_kept_in_whole_lines(app, monkeypatch):
    noise = f"{sys.executable} -c \"print('x' * 990 + '$TOKEN'); print('y' * 1987); print('the end')\"; exit 1"
    lines = app(build=[noise])["data"]["output"].split("\n")
    assert lines == ["x" * 990 + "***", "y" * 500 + " ... " + "y" * 500, "the end"]
    monkeypatch.setattr(states, "OUTPUT_BYTES", 2000)  # three characters of the token are left
    assert app(build=[noise])["data"]["output"].split("\n") == lines[1:]


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


class Server:
    """A web server that answers with the codes it is given, the last one for ever, and with `body`."""

    def __init__(self):
        self.codes, self.body, self.kind = [200], b"", "text/plain"
        handler = type("Answer", (_Answer,), {"told": self})
        self.web = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.web.server_port}/"


class _Answer(BaseHTTPRequestHandler):
    told: Server

    def do_GET(self):
        self.send_response(self.told.codes.pop(0) if len(self.told.codes) > 1 else self.told.codes[0])
        self.send_header("Content-Type", self.told.kind)
        self.end_headers()
        self.wfile.write(self.told.body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def server():
    answering = Server()
    threading.Thread(target=answering.web.serve_forever, daemon=True).start()
    yield answering
    answering.web.shutdown()
    answering.web.server_close()


@pytest.fixture
def ask(minion, tmp_path):
    """The health of an app that was started just now: `ask(url)`."""
    (tmp_path / "release.started").touch()
    os.utime(tmp_path / "release.started", (0, 0))  # the servers of these tests live in this process, which is older

    def asked(url, **options):
        given = {"log": str(tmp_path / "log"), "service": "app", "release": str(tmp_path / "release")}
        return states.healthy(url, **{"deadline": 0.1} | given | options)

    return asked


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(states, "LAST_WORDS_SECONDS", 0.3)


def test_health_waits_for_the_app(server, ask):
    server.codes = [503, 500, 204]
    assert ask(server.url, deadline=20)["result"] is True


def test_an_app_that_stays_unhealthy_is_told_with_its_last_words(server, ask, tmp_path):
    server.codes, server.body = [503], f'{{"broken": "{SECRET}"}}'.encode()
    (tmp_path / "log").write_text(f"old\n--- started\nno database\nno database\ntoken {SECRET}\n")
    failed = ask(server.url, deadline=1)
    assert failed["result"] is False
    assert failed["comment"].startswith(f"Not healthy: {server.url}: it answered 503 for 1 seconds.")
    assert failed["comment"].endswith("The end of the app's log:\nno database (2 times)\ntoken ***")
    assert failed["data"] == {
        "url": server.url, "status": 503, "body": '{"broken": "***"}', "error": "",
        "log": "no database (2 times)\ntoken ***",
    }  # fmt: skip


def test_an_app_that_does_not_stay_up_is_told_before_the_deadline(minion, ask, monkeypatch, tmp_path):
    minion["status"] = False
    monkeypatch.setattr(states, "DOWN_SECONDS", 0.1)
    (tmp_path / "log").write_text("--- started\nTraceback:\nModuleNotFoundError: No module named 'tax'\n")
    failed = ask("http://127.0.0.1:9/", deadline=600)
    assert "the app ends each time it is started" in failed["comment"]
    assert failed["data"]["log"].endswith("ModuleNotFoundError: No module named 'tax'")
    assert (failed["data"]["status"], failed["data"]["error"]) == (0, "[Errno 111] Connection refused")


def test_an_app_that_was_mostly_down_is_told_so_also_when_the_deadline_is_short(minion, ask):
    minion["status"] = False
    assert "the app ends each time it is started" in ask("http://127.0.0.1:9/", deadline=0.5)["comment"]


def test_an_app_that_is_just_being_started_again_may_say_why_it_ends(minion, ask, monkeypatch, tmp_path):
    minion["status"] = False
    monkeypatch.setattr(states, "DOWN_SECONDS", 0.01)
    monkeypatch.setattr(states, "LAST_WORDS_SECONDS", 20)
    (tmp_path / "log").write_text("--- started\nthe reason\n--- started\n")
    late = threading.Timer(0.5, lambda: (tmp_path / "log").write_text("--- started\n--- started\nthe reason again\n"))
    late.start()
    assert ask("http://127.0.0.1:9/")["data"]["log"] == "the reason again"
    late.join()


def test_what_is_said_before_a_page_of_usage_is_not_lost(tmp_path):
    usage = "".join(f"--option-{number}\n\n\n" for number in range(200))
    (tmp_path / "log").write_text(f"old\n--- started\nError: No module named 'tax'\n{usage}the end\n\n")
    words = module.last_words(str(tmp_path / "log"), 30).split("\n")
    assert (words[0], words[-1], len(words)) == ("Error: No module named 'tax'", "the end", 31)
    assert "times" not in str(words)


def test_an_app_that_ends_without_a_word_is_told_so(tmp_path):
    (tmp_path / "log").write_text("--- started\n" * 3)
    assert module.last_words(str(tmp_path / "log")) == ""


def test_a_page_is_read_without_its_tags_and_masked_also_where_it_is_spelled_in_html(server, ask, minion):
    page = f"""<!doctype html><html><head><style>p {{color: red}}</style><script>let a = "<b>";</script></head>
    <body><h1>Internal &amp; Server Error</h1>\n<p>the   value <b>{SECRET[0]}&#{ord(SECRET[1])};{SECRET[2:]}</b></p>"""
    server.codes, server.body, server.kind = [500], page.encode(), "text/html; charset=utf-8"
    body = ask(server.url)["data"]["body"]
    assert body == "Internal & Server Error\nthe value\n***"


def test_of_a_long_answer_only_whole_lines_are_looked_at_and_little_is_shown(server, ask, monkeypatch):
    monkeypatch.setattr(health, "BODY_BYTES", 1000)
    server.codes, server.body = [500], b"short\n" + b"x" * 990 + SECRET.encode()  # the limit cuts it in two
    assert ask(server.url)["data"]["body"] == "short"
    server.body = b"y" * 900
    assert ask(server.url)["data"]["body"] == "y" * states.BODY_LENGTH


def test_a_picture_or_what_is_no_text_is_not_shown(server, ask):
    server.codes, server.body, server.kind = [500], b"\x89PNG", "image/png"
    assert ask(server.url)["data"]["body"] == ""
    server.body, server.kind = b"a\x00\x1b[1mb\xff", "text/plain; charset=no-such"
    assert ask(server.url)["data"]["body"] == "a [1mb\ufffd"


@contextmanager
def dripping(head, pause=0.05):
    """A server that sends `head` and then a byte now and then, for ever. The address to ask."""
    over = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve():
            while not over.is_set():
                try:
                    peer, _ = listening.accept()
                    with peer:
                        peer.sendall(head)
                        while not over.wait(pause):
                            peer.sendall(b"x")
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        over.set()
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("head", "status", "body", "error"),
    [
        (b"", 0, "", "timed out"),  # not even a status line
        (b"HTTP/1.1 200 OK\r\nX: ", 0, "", "timed out"),
        (b"HTTP/1.1 500 Oops\r\n\r\nfirst\nhunt", 500, "first", ""),
    ],
)
def test_an_answer_that_drips_takes_no_longer_than_its_time(ask, monkeypatch, head, status, body, error):
    monkeypatch.setattr(states, "REQUEST_SECONDS", 0.4)
    with dripping(head) as url:
        began = time.monotonic()
        data = ask(url, deadline=0.1)["data"]
        assert time.monotonic() - began < 3
    assert (data["status"], data["body"], data["error"]) == (status, body, error)


def test_a_healthy_answer_need_not_end(ask):
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        assert ask(url, deadline=10)["result"] is True


def test_what_speaks_no_http_is_told(ask):
    with dripping(b"SSH-2.0-OpenSSH_9.2\r\n") as url:
        failed = ask(url)
    assert "it did not answer in HTTP (BadStatusLine)" in failed["comment"]
    assert failed["data"]["status"] == 0


@pytest.fixture
def squatter():
    """Another program that listens and answers 200. Its URL and its process id."""
    program = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler); "
    program += "print(s.server_port, flush=True); s.serve_forever()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        port = int(other.stdout.readline())
        yield f"http://127.0.0.1:{port}/", other.pid
        other.kill()


@pytest.mark.parametrize("up", [False, True])
def test_another_program_on_the_port_is_not_the_app(squatter, ask, minion, monkeypatch, tmp_path, up):
    """Neither while the app is down, nor in the moment in which it is being started and will find the port taken."""
    url, pid = squatter
    minion["status"] = up
    monkeypatch.setattr(states, "DOWN_SECONDS", 0.1)
    started = time.time() + 60 if up else 0
    os.utime(tmp_path / "release.started", (started, started))
    failed = ask(url, deadline=600)
    listens = f"something else listens on {url[7:-1]} (python"
    assert failed["comment"].startswith(f"Not healthy: {url}: {listens}")
    assert f"process {pid})" in failed["data"]["error"]
    assert failed["data"]["status"] == 200


def test_what_listens_since_the_app_was_started_is_the_app(squatter, ask, tmp_path):
    os.utime(tmp_path / "release.started")
    assert ask(squatter[0])["result"] is True


def test_test_mode_changes_nothing(minion, tmp_path, monkeypatch):
    monkeypatch.setitem(states.__opts__, "test", True)
    assert states.env_file(str(tmp_path / ".env"))["result"] is None
    assert list(tmp_path.iterdir()) == []


def test_a_log_is_cut_at_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TAIL_BYTES", 20)
    (tmp_path / "log").write_text("a long first line with a secret\nshort\nlast\n")
    assert module.log_tail(str(tmp_path / "log"), 10) == "short\nlast"
    assert module.log_tail(str(tmp_path / "none"), 10) == ""


def test_lines_of_a_log_end_where_no_value_can_be_cut(tmp_path):
    """Some characters are line breaks for Python only."""
    (tmp_path / "log").write_text("value a\u2028b\x0bc\r\nlast\n")
    assert module.log_tail(str(tmp_path / "log"), 10) == "value a\u2028b\x0bc\nlast"
