"""What ops curate in failures/: a wrong entry is told with its place and left out, the others work on."""

import errno
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.curated.failures import CuratedCatalogue, files_of, lint
from orchestrator.curated.lint import lint as lint_all
from orchestrator.domain.failures import Subject, explain
from orchestrator.settings import CHECKOUT
from tests.unit.doors import Brine, command_line
from tests.unit.test_curated_templates import touch

GOOD = """\
license-server-down:
  priority: 70
  match: "license server (?P<host>\\\\S+) is down"
  title: the license server {host} does not answer.
  action: Start it again.
  audience: ops
"""
BROKEN = {"cmd_|-a_|-a_|-run": {"result": False, "comment": "license server lic-1 is down", "__id__": "a"}}
WELL = {"cmd_|-a_|-a_|-run": {"result": True, "comment": "fine"}}


def entry(**changes: str | None) -> str:
    """An entry of three lines and more, with some fields of another value, or none."""
    fields = {"match": "boom", "title": "it broke.", "action": "Mend it.", "audience": "ops"} | changes
    return "wrong-one:\n" + "".join(f"  {name}: {value}\n" for name, value in fields.items() if value is not None)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a folder for failures, which the command line reads."""
    (tmp_path / "failures").mkdir()
    monkeypatch.setenv("BRINE_SITE", str(tmp_path))
    return tmp_path


@pytest.fixture
def brine(capsys: pytest.CaptureFixture[str]) -> Brine:
    return command_line(capsys)


def codes(folder: Path) -> set[str]:
    return set(CuratedCatalogue(folder).current().catalogue.entries)


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        (entry(match="'(unclosed'"), 7, "match is no regular expression: missing )"),
        (entry(match="[boom, '*']"), 7, "match is no regular expression: nothing to repeat"),
        (entry(match="[]"), 8, "at least 1 item"),
        (entry(match=None), 7, "is missing"),
        (entry(select="'$.cause['"), 7, "select is no JSONPath"),
        (entry(title="'{nobody} broke.'"), 7, "title names {nobody}, which no pattern of `match` captures"),
        (entry(match="['(?P<a>x)', y]", title="'{a} broke.'"), 7, "title names {a}, which not every pattern"),
        (entry(title="'{server.__class__} broke.'"), 7, "only plain names may be in braces"),
        (entry(title="'{0} broke.'"), 7, "only plain names may be in braces"),
        (entry(title="'{server!r} broke.'"), 7, "only plain names may be in braces"),
        (entry(title="'{server:>9} broke.'"), 7, "only plain names may be in braces"),
        (entry(action="'Mend {it.'"), 7, "braces must be in pairs"),
        (entry(tilte="no"), 12, "there is no such field"),
        (entry(action=None), 7, "is missing"),
        (entry(audience="everybody"), 11, "'developer' or 'ops'"),
        (entry(priority="101"), 12, "less than or equal to 100"),
        (entry(title="x" * 201), 9, "at most 200 characters"),
        (entry(link="'javascript:alert(1)'"), 12, "should match pattern"),
        (entry().replace("wrong-one", "Wrong_One"), 7, "is no code: small letters"),
        (entry().replace("wrong-one", "404"), 7, "is no code: small letters"),
        ("wrong-one: just text\n", 7, "valid dictionary"),
        ("wrong-one:\n", 7, "valid dictionary"),
    ],
)
def test_a_wrong_entry_is_told_with_its_line_and_the_others_work(
    tmp_path: Path, wrong: str, line: int, says: str
) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(GOOD + wrong)
    (problem, *more) = lint(file)
    assert not more
    assert says in problem.message, problem.message
    assert (problem.line, problem.column >= 1, problem.file) == (line, True, str(file))
    current = CuratedCatalogue(tmp_path).current()
    assert set(current.catalogue.entries) == {"license-server-down"}
    assert [str(each) for each in current.problems] == [str(problem)]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"", 1, "is no mapping"),
        (b"- a\n- b\n", 1, "is no mapping"),
        (b"\xff\xfe\x00", 1, "is not text in UTF-8"),
        (b"a:\n\tb: c\n", 2, "cannot start any token"),
        (GOOD.encode() + GOOD.encode(), 7, "duplicate key"),
        (b"a: " + b"[" * 20_000, 1, "nested too deep"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_other_files_work(
    tmp_path: Path, content: bytes, line: int, says: str
) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    (tmp_path / "b.yaml").write_text(GOOD)
    (problem,) = CuratedCatalogue(tmp_path).current().problems
    assert says in problem.message, problem.message
    assert problem.line == line
    assert codes(tmp_path) == {"license-server-down"}


def test_a_folder_that_is_not_there_has_nothing_in_it(tmp_path: Path) -> None:
    assert CuratedCatalogue(tmp_path / "missing").current().catalogue.entries == {}


def test_an_entry_of_the_site_replaces_ours(tmp_path: Path) -> None:
    ours = CHECKOUT / "failures"
    (tmp_path / "site.yaml").write_text(GOOD + entry().replace("wrong-one", "disk-full"))
    catalogue = CuratedCatalogue(ours, tmp_path).current().catalogue
    assert catalogue.entries["disk-full"].title == "it broke."
    assert "branch-missing" in catalogue.entries
    (failure,) = explain(BROKEN, Subject("web-1"), catalogue)
    assert failure.title == "web-1: the license server lic-1 does not answer."
    assert len(files_of(ours, tmp_path)) == len(files_of(ours)) + 1


def test_the_site_that_is_our_own_folder_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(GOOD + entry(audience="nobody"))
    assert len(CuratedCatalogue(tmp_path, tmp_path).current().problems) == 1


def test_a_changed_file_is_read_again_and_a_broken_one_leaves_its_last_good_version(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(GOOD)
    curated = CuratedCatalogue(tmp_path)
    first = curated.current()
    assert curated.current() is first  # nothing changed, so nothing is made anew
    touch(file, GOOD.replace("does not answer", "sleeps"))
    assert "sleeps" in curated.current().catalogue.entries["license-server-down"].title
    touch(file, "a: [")
    broken = curated.current()
    assert "sleeps" in broken.catalogue.entries["license-server-down"].title
    assert len(broken.problems) == 1
    touch(file, GOOD)
    assert curated.current().problems == ()
    (tmp_path / "more.yaml").write_text(entry())
    assert set(curated.current().catalogue.entries) == {"license-server-down", "wrong-one"}
    file.unlink()
    assert set(curated.current().catalogue.entries) == {"wrong-one"}


def test_a_wrong_entry_that_is_taken_away_is_not_told_any_more(tmp_path: Path) -> None:
    """What is in force stays the same by that, only the problem is gone."""
    file = tmp_path / "site.yaml"
    file.write_text(GOOD + entry(audience="nobody"))
    curated = CuratedCatalogue(tmp_path)
    assert len(curated.current().problems) == 1
    touch(file, GOOD)
    assert curated.current().problems == ()


def test_a_path_that_cannot_be_followed_selects_nothing(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(GOOD + entry(select="'$[?(@.retcode > 1)].text'", priority="90"))
    catalogue = CuratedCatalogue(tmp_path).current().catalogue
    for retcode in (None, "text", 0):
        broken = {"cmd_|-a_|-a_|-run": {**BROKEN["cmd_|-a_|-a_|-run"], "changes": {"retcode": retcode}}}
        assert explain(broken, Subject(), catalogue)[0].code == "license-server-down"


def test_lint_tells_problems_of_templates_and_failures(site: Path, brine: Brine) -> None:
    file = site / "failures" / "site.yaml"
    file.write_text(GOOD)
    assert brine("template", "lint")[0] == 0
    file.write_text(GOOD + entry(audience="nobody"))
    code, _, err = brine("template", "lint")
    assert code == 2
    assert f"{file}:11:3: wrong-one.audience: " in err
    code, _, err = brine("template", "lint", str(file))
    assert code == 2
    assert "wrong-one.audience" in err
    assert [each.field for each in lint_all([file])] == ["wrong-one.audience"]


def test_the_list_is_in_the_order_in_which_it_is_tried(site: Path, brine: Brine) -> None:
    (site / "failures" / "site.yaml").write_text(GOOD + entry(audience="nobody"))
    code, out, err = brine("failures", "list")
    assert code == 0
    assert "license-server-down" in out
    assert "wrong-one.audience" in err
    code, out, err = brine("failures", "list", "--json")
    listed = json.loads(out)
    priorities = [each["priority"] for each in listed["failures"]]
    assert (code, err) == (0, "")
    assert priorities == sorted(priorities, reverse=True)
    assert "wrong-one.audience" in listed["problems"][0]


def test_a_saved_return_is_explained(site: Path, brine: Brine, tmp_path: Path) -> None:
    (site / "failures" / "site.yaml").write_text(GOOD)
    saved = tmp_path / "return.json"
    saved.write_text(json.dumps({"cart-web-1": BROKEN}))
    code, out, err = brine("failures", "test", str(saved))
    assert (code, err) == (0, "")
    assert out.splitlines()[:3] == [
        "cart-web-1: the license server lic-1 does not answer.", "Start it again.", "(license-server-down, for ops)",
    ]  # fmt: skip
    code, out, _ = brine("failures", "test", str(saved), "--json")
    assert code == 0
    assert json.loads(out)["failures"][0]["servers"] == ["cart-web-1"]
    saved.write_text(json.dumps({"cart-web-1": WELL}))
    assert brine("failures", "test", str(saved))[:2] == (0, "Nothing failed in it.\n")
    assert json.loads(brine("failures", "test", str(saved), "--json")[1]) == {"failures": []}


def test_role_and_branch_are_for_the_words(site: Path, brine: Brine, tmp_path: Path) -> None:
    saved = tmp_path / "return.json"
    saved.write_text(json.dumps({"web-1": {"cmd_|-a_|-a_|-run": {"result": False, "comment": "it broke"}}}))
    assert "on branch feature/cart" in brine("failures", "test", str(saved), "--branch", "feature/cart")[1]


def test_the_input_is_read_and_a_job_of_ours_is_unwrapped(
    site: Path, brine: Brine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    (site / "failures" / "site.yaml").write_text(GOOD)
    given(json.dumps({"jid": "20260101000000000000", "returns": {"cart-web-1": BROKEN, "cart-web-2": None}}))
    out = brine("failures", "test", "-")[1]
    assert "cart-web-1: the license server lic-1" in out
    assert "cart-web-2: the minion did not return." in out
    given("Minion did not return. [No response]")
    assert "did not return" in brine("failures", "test", "-")[1]


@pytest.mark.parametrize("text", ["", "  \n", "\ufeff"])
def test_of_nothing_it_says_so(site: Path, brine: Brine, tmp_path: Path, text: str) -> None:
    saved = tmp_path / "return.json"
    saved.write_text(text)
    code, out, err = brine("failures", "test", str(saved))
    assert (code, out) == (2, "")
    assert "There is nothing in it" in err


@pytest.mark.parametrize(
    "content",
    [
        b"{ this is no JSON", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5_000, b"\xff\xfe\x00\x1b[2J",
        json.dumps({"cart-web-1": BROKEN}).encode()[:-5], b"null", b"NaN", b"true", b'"text"',
    ],
)  # fmt: skip
def test_what_is_no_return_is_no_crash(site: Path, brine: Brine, tmp_path: Path, content: bytes) -> None:
    saved = tmp_path / "return.json"
    saved.write_bytes(content)
    code, out, _ = brine("failures", "test", str(saved))
    assert code == 0
    assert out.strip()
    assert "\x1b" not in out


def test_the_returns_of_several_minions_as_salt_prints_them(site: Path, brine: Brine, tmp_path: Path) -> None:
    """Without `--static`, `salt --out=json` prints a JSON document for each minion, one after the other."""
    saved = tmp_path / "return.json"
    saved.write_text("\n".join(json.dumps({f"cart-web-{number}": BROKEN}, indent=4) for number in (1, 2)))
    (site / "failures" / "site.yaml").write_text(GOOD)
    assert "cart-web-1 and cart-web-2: the license server lic-1" in brine("failures", "test", str(saved))[1]


def test_a_file_that_may_not_be_read(site: Path, brine: Brine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = tmp_path / "return.json"
    saved.write_text("{}")
    really = Path.open

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path == saved:  # a mode of 000 would be nothing to root, as whom these tests may run
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)
    code, _, err = brine("failures", "test", str(saved))
    assert code == 2
    assert "cannot be read: Permission denied." in err


def test_a_file_that_is_not_there(site: Path, brine: Brine) -> None:
    code, _, err = brine("failures", "test", "/does/not/exist.json")
    assert code == 2
    assert "/does/not/exist.json cannot be read: No such file or directory." in err
