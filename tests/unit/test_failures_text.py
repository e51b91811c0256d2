"""The telling line of what programs print: the one that a person would point at."""

import pytest

from orchestrator.domain.failures.text import EVIDENCE_LINES, clean, evidence, shown, telling_line, without_tags

PIP = """\
Collecting flask
  Using cached flask-3.0.0-py3-none-any.whl
ERROR: Could not find a version that satisfies the requirement no-such==1.0 (from versions: none)
ERROR: No matching distribution found for no-such==1.0
"""
GCC = """\
gcc -O2 -c main.c
In file included from main.c:3:
shop.h: In function 'total':
shop.h:12:9: warning: unused variable 'x' [-Wunused-variable]
main.c:17:5: error: 'cart' undeclared (first use in this function)
   17 |     cart.total = 0;
main.c:17:5: note: each undeclared identifier is reported only once for each function it appears in
make: *** [Makefile:4: main.o] Error 1
"""
TRACEBACK = """\
--- started
INFO loading settings
Traceback (most recent call last):
  File "/srv/shop-api/checkout/app.py", line 3, in <module>
    from tax import rates
ModuleNotFoundError: No module named 'tax'
"""
CHAINED = """\
Traceback (most recent call last):
  File "a.py", line 1, in load
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in main
shop.settings.MissingSettingError: DATABASE_URL is not set
"""
PYTEST = """\
============================= test session starts ==============================
collected 12 items
test_cart.py ..F.........                                                [100%]
=================================== FAILURES ===================================
E       AssertionError: assert 3 == 4
test_cart.py:9: AssertionError
=========================== short test summary info ============================
FAILED test_cart.py::test_total - AssertionError: assert 3 == 4
========================= 1 failed, 11 passed in 0.12s =========================
"""
NPM = """\
npm error code E404
npm error 404 Not Found - GET https://npm.example.org/no-such-thing
npm error A complete log of this run can be found in: /root/.npm/_logs/x.log
"""
NODE = """\
node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module './routes'
Require stack:
- /srv/shop-web/checkout/server.js
    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15)
"""
GIT = """\
Cloning into '/srv/shop-api/checkout'...
remote: Counting objects: 100% (3/3), done.
fatal: unable to access 'https://git.example.org/shop/api.git/': Could not resolve host: git.example.org
"""
SALTS_OWN = """\
An exception occurred in this state: Traceback (most recent call last):
  File "/usr/lib/python3/site-packages/salt/state.py", line 2417, in call
    ret = self.states[cdata["full"]](
  File "/usr/lib/python3/site-packages/salt/states/file.py", line 12, in managed
    raise ValueError(name)
ValueError: the name may not be empty
"""
QUIET = "deploying\nstep one\nit stopped here"


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (PIP, "ERROR: Could not find a version that satisfies the requirement no-such==1.0 (from versions: none)"),
        (GCC, "main.c:17:5: error: 'cart' undeclared (first use in this function)"),
        (TRACEBACK, "ModuleNotFoundError: No module named 'tax'"),
        (CHAINED, "shop.settings.MissingSettingError: DATABASE_URL is not set"),
        (PYTEST, "E       AssertionError: assert 3 == 4"),
        (NPM, "npm error 404 Not Found - GET https://npm.example.org/no-such-thing"),
        (NODE, "Error: Cannot find module './routes'"),
        (GIT, "fatal: unable to access 'https://git.example.org/shop/api.git/': "
              "Could not resolve host: git.example.org"),
        (SALTS_OWN, "ValueError: the name may not be empty"),
        (QUIET, "it stopped here"),
        ("", ""),
        ("\n\n", ""),
        ("sh: 1: pyton3: not found\nIt ended with exit code 127.", "sh: 1: pyton3: not found"),
        ("warning: 0 errors\npanic: runtime error: index out of range", "panic: runtime error: index out of range"),
    ],
)  # fmt: skip
def test_the_telling_line(output: str, line: str) -> None:
    assert telling_line(clean(output)) == line


def test_colours_and_control_characters_are_gone() -> None:
    assert clean("\x1b[31merror\x1b[0m: \x07no\x00\r\nnext\x1b]0;title\x07") == "error: no\nnext"


def test_what_looks_secret_is_masked() -> None:
    assert "hunter22" not in clean("cloning https://me:hunter22@git.example.org/x password=hunter22")


def test_of_much_text_the_beginning_and_the_end_are_looked_at() -> None:
    text = clean("first\n" + "x\n" * 1_000_000 + "last")
    assert text.startswith("first")
    assert text.endswith("last")
    assert len(text) < 40_000
    assert max(map(len, clean("y" * 1_000_000).split("\n"))) <= 1_010


def test_evidence_is_around_what_it_is_about_or_the_end() -> None:
    text = "\n".join(f"line {number}" for number in range(100))
    assert evidence(text).split("\n")[-1] == "line 99"
    around = evidence(text, "line 50").split("\n")
    assert len(around) == EVIDENCE_LINES
    assert around[4] == "line 50"
    assert evidence("one line", "one") == "one line"


def test_data_is_shown_as_its_leaves_however_deep_it_is() -> None:
    assert shown({"a": 1, "b": [2, {"c": "x"}], "d": None}) == "a: 1\n2\nc: x\nd: None"
    deep: object = "the end"
    for _ in range(50_000):
        deep = [deep]
    assert shown(deep) == "the end"


def test_of_a_page_the_words_are_left() -> None:
    page = "<html><head><style>p {x}</style></head><body><h2>401</h2>\n<p>No permission</p></body></html>"
    assert without_tags(page) == "401\nNo permission"
