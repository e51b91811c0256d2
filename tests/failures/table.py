"""`make failures`: how well the recorded failures are told.

`python -m tests.failures.table` prints the table; with `--show`, every case and what is told of it; with
`--accept CASE...`, what is told now becomes what is expected of these cases (read it first).
"""

import argparse
import io
import sys
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import salt.config
import salt.output
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from orchestrator.domain.failures import Failure
from orchestrator.domain.failures.explain import FALLBACK_CODES

from .corpus import FOLDER, Case, cases, shipped, told_of


def main(arguments: Sequence[str]) -> int:
    """Print the table. → 1 when a root cause is not told as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.failures.table", description=__doc__.split("\n")[0])
    parser.add_argument("--show", action="store_true", help="every case, and what is told of it")
    parser.add_argument("--accept", nargs="*", metavar="CASE", help="make what is told now what is expected")
    asked = parser.parse_args(arguments)
    told = [(case, case.explained(shipped())) for case in cases()]
    if asked.accept is not None:
        for case, failures in told:
            if case.name in asked.accept:
                accept(case, failures)
        return 0
    if asked.show:
        for case, failures in told:
            _show(case, failures)
    return _table(told)


def accept(case: Case, failures: list[Failure]) -> None:
    """Write down that this is what is to be told."""
    yaml = YAML()
    yaml.width = 1_000
    text = io.StringIO()
    yaml.dump(told_of(failures), text)
    (FOLDER / case.name / "expected.yaml").write_text(text.getvalue())


def raw_lines(case: Case) -> int:
    """How many lines `salt` prints for the same return."""
    found = case.recorded
    ret = {found.get("server") or "master": found.get("ret")} if found["from"] == "minion" else found.get("ret")
    if found.get("server") == "*":
        ret = found["ret"]
    out = "highstate" if found.get("out") == "highstate" or found["from"] == "minion" else "nested"
    return len(salt.output.out_format(ret, out, _options()).splitlines())


def unseen(told: Sequence[tuple[Case, list[Failure]]]) -> list[str]:
    """The catalogue's entries that no recorded case matches."""
    seen = {failure.code for _, failures in told for failure in failures}
    return sorted(set(shipped().entries) - seen)


def _options() -> dict[str, Any]:
    options: dict[str, Any] = dict(salt.config.DEFAULT_MASTER_OPTS)
    return {**options, "color": False, "state_output": "full", "state_verbose": True, "extension_modules": ""}


def _table(told: Sequence[tuple[Case, list[Failure]]]) -> int:
    wrong = [case.name for case, failures in told if told_of(failures) != (case.expected or [])]
    first = sum(bool(f) and bool(c.expected) and f[0].code == c.expected[0]["code"] for c, f in told)  # type: ignore[index]
    explanations = [len(failure.explanation.splitlines()) or 1 for _, failures in told for failure in failures]
    whole = [len(failure.lines) for _, failures in told for failure in failures]
    raw = [raw_lines(case) for case, _ in told]
    by_catalogue = sum(failure.code not in FALLBACK_CODES for _, failures in told for failure in failures[:1])
    table = Table(box=None, show_header=False, pad_edge=False)
    rows = [
        ("cases", str(len(told))),
        ("of these kinds", ", ".join(f"{kind} {n}" for kind, n in sorted(Counter(c.kind for c, _ in told).items()))),
        ("root cause told first", f"{first} of {len(told)}"),
        ("told word for word as expected", f"{len(told) - len(wrong)} of {len(told)}"),
        ("lines of the explanation, median and largest", f"{median(explanations):g} and {max(explanations)}"),
        ("lines told in all, with what is wrong and what to do", f"{median(whole):g} and {max(whole)}"),
        ("lines that `salt` prints, median and largest", f"{median(raw):g} and {max(raw)}"),
        ("told by the catalogue, and by the state's own words", f"{by_catalogue} and {len(told) - by_catalogue}"),
        ("entries of the catalogue", str(len(shipped().entries))),
        ("not seen yet", ", ".join(unseen(told)) or "none"),
    ]
    for name, value in rows:
        table.add_row(name, value)
    Console(markup=False, highlight=False).print(table)
    for name in wrong:
        print(f"not as expected: {name}")
    return 1 if wrong else 0


def _show(case: Case, failures: Sequence[Failure]) -> None:
    mark = "" if case.expected == told_of(list(failures)) else "  (not as expected)" if case.expected else "  (new)"
    print(f"== {case.name}{mark}: {case.broken}")
    for failure in failures:
        print(f"   [{failure.code}, {failure.audience}]")
        for line in failure.lines:
            print(f"   {line}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
