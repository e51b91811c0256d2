"""Three environments, broken in three ways by their branches: a phone's screen is enough to know why."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.embedded import RunningStack

from .test_brinepool import answer as as_json
from .test_brinepool import env, of_role

__all__ = ["env"]  # the fixture

COLUMNS, LINES = 40, 20
ERASED = "\x1b[2K"  # what a live display begins each frame with
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def make_branch(repository: Path, branch: str, files: Mapping[str, str]) -> None:
    """A branch that is as main but for the files."""
    commands = [f"commit refs/heads/{branch}", "committer Shop Team <team@shop.example.org> 1767268800 +0000"]
    commands += ["data 11", "Break a bit", "from refs/heads/main"]
    for name, text in files.items():
        commands += [f"M 100644 inline {name}", f"data {len(text.encode())}", text]
    stream = "\n".join(commands) + "\n"
    subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=repository, input=stream, text=True, check=True)


def on_a_phone(stack: RunningStack, *arguments: str) -> tuple[int, str]:
    """The exit code of a `brine` command, and what a terminal of 40 columns shows at its end."""
    environment = {"PATH": os.environ["PATH"], "BRINE_HOME": str(stack.home.root), "LANG": "C.UTF-8", "TERM": "xterm"}
    phone, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    command = [str(stack.home.bin / "brine"), *arguments]
    with subprocess.Popen(command, env=environment, stdin=end, stdout=end, stderr=end) as running:
        os.close(end)
        written = "".join(_chunks(phone))
    os.close(phone)
    left = STYLE.sub("", written.rpartition(ERASED)[2]).replace("\r", "").strip("\n")
    return running.returncode, "\n".join(piece for line in left.split("\n") for piece in _wrapped(line.rstrip()))


def _chunks(terminal: int) -> Iterator[str]:
    """What is written on it until nobody has it open any more."""
    data = b""
    while True:
        try:
            data += os.read(terminal, 65536)
        except OSError:  # Linux's way to say so
            yield data.decode(errors="replace")
            return


def _wrapped(line: str) -> list[str]:
    """As a terminal breaks it: anywhere."""
    return [line[at : at + COLUMNS] for at in range(0, len(line), COLUMNS)] or [""]


def broken(stack: RunningStack, name: str, branch: str) -> list[str]:
    """What is on the screen after an environment was made whose web server runs this branch, and when it is shown."""
    code, made = on_a_phone(stack, "env", "create", "shop", name, "--branch", f"web={branch}", "--count", "web=1")
    assert code == 1, made
    assert [server["status"] for server in of_role(as_json(stack, "env", "show", name), "api")] == ["ready"]
    code, shown = on_a_phone(stack, "env", "show", name)
    assert code == 0, shown
    return [made, shown]


@pytest.mark.long
@pytest.mark.timeout(600)  # one of them is asked for its health for two minutes
def test_three_broken_branches_are_each_told_on_a_phone_with_the_line_of_the_app_that_tells(
    stack: RunningStack, env: None
) -> None:
    make_branch(stack.home.repos / "shop" / "web.git", "broken/start", {"app.py": "import tax\n"})
    cases = {
        ("sour", "broken/build"): "brinepool-sample-that-does-not-exist==1.0",
        ("bitter", "broken/start"): "No module named 'tax'",
        ("stale", "broken/health"): "the template cache cannot be filled: file themes/summer.html not found",
    }
    with ThreadPoolExecutor() as pool:
        screens = list(pool.map(lambda case: broken(stack, *case), cases))
    for (name, _), telling, screen in zip(cases, cases.values(), screens, strict=True):
        for text in screen:
            lines = text.split("\n")
            assert len(lines) <= LINES, text
            assert telling in "".join(lines), text
            assert f"{name}-web-1" in text, text
            assert not re.search(r"(?i)salt|requisite|traceback|return code|[{}]", text), text
