"""The README's word: on a fresh clone with nothing installed, `make demo` ends with a wired environment."""

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh clone of what is committed; whatever was started in it is ended."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("this is no git checkout, so it cannot be cloned")
    folder = tmp_path_factory.mktemp("fresh") / "brinepool"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(folder)], check=True)
    yield folder
    run(folder, "make", "down")
    assert left_of(folder) == []
    shutil.rmtree(folder)


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command as a newcomer's shell would run it: nothing of this test run's environment."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("BRINE_", "VIRTUAL_ENV"))}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=800)


def left_of(folder: Path) -> list[str]:
    """The processes whose environment carries the clone's home."""
    home = f"BRINE_HOME={folder / 'var'}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if home in environ.read_bytes().split(b"\0"):
                found.append(environ.parent.name)
        except OSError:  # it has ended, or it is another user's
            continue
    return found


def test_make_demo_ends_with_a_page_that_shows_the_sibling_s_data(clone: Path) -> None:
    done = run(clone, "make", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo is ready" in done.stdout
    shown = json.loads(run(clone, ".venv/bin/brine", "env", "show", "demo", "--json").stdout)
    assert [server["status"] for server in shown["servers"]] == ["ready"] * 3
    (api,) = [server for server in shown["servers"] if server["role"] == "api"]
    with urllib.request.urlopen(f"{api['url']}/products", timeout=10) as response:
        products = [product["name"] for product in json.load(response)["products"]]
    assert products
    page = done.stdout.split("serves:")[-1]
    assert all(product in page for product in products)
    assert api["url"] in page


def test_a_second_demo_shows_what_is_there(clone: Path) -> None:
    done = run(clone, "make", "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "brine env create" not in done.stdout.split("Next:")[0]


def test_make_help_names_every_target_of_the_readme(clone: Path) -> None:
    helped = run(clone, "make", "help").stdout
    for target in set(re.findall(r"^make (\w+)", (clone / "README.md").read_text(), re.M)):
        assert f"make {target}" in helped


def test_make_down_leaves_no_process(clone: Path) -> None:
    assert run(clone, "make", "down").returncode == 0
    assert left_of(clone) == []
