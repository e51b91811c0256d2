"""`make failures-record`: produce the failures of the corpus with real Salt, and write down what it returned.

`python -m tests.failures.record` records every case, `... record CASE...` some (shell patterns are allowed), `--new`
those that have no recording. A case that cannot be produced is said, and its old recording stays.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import salt.version
from pydantic import ValidationError
from ruamel.yaml.error import YAMLError

from .recording import case as cases
from .recording.case import Case
from .recording.cleaning import Cleaner
from .recording.stage import NotProduced, Stage, stage
from .recording.ways import produce

CORPUS = Path(__file__).parent / "corpus"


def main(arguments: Sequence[str]) -> int:
    """Record what is asked for. → 1 when a case could not be produced."""
    parser = argparse.ArgumentParser(prog="python -m tests.failures.record", description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="a folder of the corpus, or a pattern; none: all")
    parser.add_argument("--new", action="store_true", help="only those without a recording")
    asked = parser.parse_args(arguments)
    chosen = _chosen(asked.cases, asked.new)
    if not chosen:
        print("No such case.")
        return 2
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # the stack is not left running
    root = Path(tempfile.mkdtemp(prefix="brine-failures-"))
    try:
        with stage(root, print) as running:
            failed = [folder.name for folder in chosen if not _recorded(folder, running)]
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} recorded.")
    return 1 if failed else 0


def record(case: Case, folder: Path, running: Stage) -> dict[str, Any]:
    """The recording of one case. Raises NotProduced when Salt did not say what the case is to show."""
    said = produce(case, folder, running)
    about = {"server": case.server, "role": case.role, "branch": case.branch, "repository": case.repository}
    first = {"salt": salt.version.__version__, "from": case.source, "retcode": None, "out": None}
    recorded = Cleaner(running.home, running.root).clean(first | about | said)
    if case.shows not in json.dumps(recorded, ensure_ascii=False) and case.shows not in _texts(recorded):
        said = "\n".join(_reasons(recorded.get("ret"))) or _texts(recorded.get("ret"))
        raise NotProduced(f"“{case.shows}” is not in what Salt said: {said[-1500:]}")
    return recorded


def _chosen(patterns: Sequence[str], new: bool) -> list[Path]:
    """The folders that are asked for; those with the same settings of the master one after the other."""
    found = [path.parent for path in sorted(CORPUS.glob("*/case.yaml"))]
    wanted = [path for path in found if not patterns or any(fnmatch(path.name, pattern) for pattern in patterns)]
    wanted = [path for path in wanted if not (new and (path / "recorded.json").is_file())]
    return sorted(wanted, key=lambda path: "\nmaster:" in (path / "case.yaml").read_text())


def _recorded(folder: Path, running: Stage) -> bool:
    """Record one case and say how that went."""
    started = time.monotonic()
    try:
        recorded = record(cases.load(folder), folder, running)
    except (NotProduced, ValidationError, YAMLError) as error:
        print(f"NOT PRODUCED  {folder.name}: {error}", flush=True)
        return False
    except Exception as error:  # noqa: BLE001  (one case must not end the recording of the others)
        print(f"NOT PRODUCED  {folder.name}: {type(error).__name__}: {error}", flush=True)
        return False
    text = json.dumps(recorded, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "recorded.json").write_text(text)
    print(f"{time.monotonic() - started:5.1f} s  {folder.name}", flush=True)
    return True


def _reasons(ret: Any) -> Iterator[str]:
    """What the states that failed say of themselves."""
    for state in ret.values() if isinstance(ret, dict) else ():
        if isinstance(state, dict) and state.get("result") is False and state.get("__state_ran__") is not False:
            yield _texts({key: state.get(key) for key in ("comment", "changes", "data")})


def _texts(value: Any) -> str:
    """Every text in a return, a line each."""
    if isinstance(value, dict):
        return "\n".join(f"{key}\n{_texts(item)}" for key, item in value.items())
    return "\n".join(_texts(item) for item in value) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
