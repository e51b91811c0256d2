"""Reading one curated YAML file into a model: the model, or what is wrong with file, line, column and field."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from orchestrator.ports import CuratedProblem

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Read(Generic[M]):
    """One file as it was read: its model or what is wrong, and the YAML data behind it (for positions)."""

    model: M | None
    problems: tuple[CuratedProblem, ...] = ()
    data: Any = None


class Watched(Generic[M]):
    """A file that is read again when it changed. A version that is wrong leaves the last good one in force."""

    def __init__(self, file: Path, read: Callable[[Path], Read[M]]) -> None:
        self._file = file
        self._read = read
        self._lock = Lock()
        self._stamp: tuple[int, int] | None = None
        self._problems: tuple[CuratedProblem, ...] = ()
        self._good: M | None = None

    def current(self) -> tuple[M | None, tuple[CuratedProblem, ...]]:
        """What is in force, and what is wrong with the file as it is now. None: it never was right, or is gone."""
        with self._lock:
            self._refresh()
            return self._good, self._problems

    def _refresh(self) -> None:
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            self._stamp, self._good, self._problems = None, None, ()
            return
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp == self._stamp:
            return
        found = self._read(self._file)
        self._stamp, self._problems = stamp, found.problems
        self._good = found.model or self._good


def read(file: Path, model: type[M], page: str) -> Read[M]:
    """The file as `model`; `page` is the documentation that lists its fields."""
    data = load(file, page)
    if isinstance(data, CuratedProblem):
        return Read(None, (data,))
    try:
        return Read(model.model_validate(data), (), data)
    except ValidationError as error:
        return Read(None, problems(file, data, error))


def load(file: Path, page: str) -> dict[str, Any] | CuratedProblem:
    """The mapping that the file holds, which knows its lines, or why there is none."""
    try:
        data = YAML(typ="rt").load(file.read_text(encoding="utf-8"))
    except OSError as error:
        return CuratedProblem(str(file), 1, 1, "", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return CuratedProblem(str(file), 1, 1, "", "is not text in UTF-8")
    except YAMLError as error:
        return _yaml_problem(file, error)
    except RecursionError:
        return CuratedProblem(str(file), 1, 1, "", "is nested too deep")
    if not isinstance(data, dict):
        return CuratedProblem(str(file), 1, 1, "", f"is no mapping; see {page} for its fields")
    return data


def problems(file: Path, data: Any, error: ValidationError, within: tuple[Any, ...] = ()) -> tuple[CuratedProblem, ...]:
    """What a model found wrong, with its place in the file. `within`: where in the file the model's data lie."""
    return tuple(_problem(file, data, found, within) for found in error.errors(include_url=False))


def position(data: Any, path: Sequence[Any]) -> tuple[int, int]:
    """Line and column (from 1) of the deepest part of `path` that is there."""
    line, column = 1, 1
    for part in path:
        if not isinstance(data, CommentedBase):
            break
        try:
            is_mapping = isinstance(data, dict)
            row, col = data.lc.key(part) if is_mapping else data.lc.item(part)
            line, column, data = row + 1, col + 1, data[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            break
    return line, column


def _yaml_problem(file: Path, error: YAMLError) -> CuratedProblem:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    what = (error.problem if isinstance(error, MarkedYAMLError) else None) or "this is not YAML"
    return CuratedProblem(str(file), mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, "", what)


def _problem(file: Path, data: Any, found: Any, within: tuple[Any, ...]) -> CuratedProblem:
    path = (*within, *found["loc"])
    line, column = position(data, path)
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        message = "there is no such field; check its spelling"
    elif found["type"] == "missing":
        message = "is missing"
    shown = ".".join(str(part) for part in path if part != "[key]")
    return CuratedProblem(str(file), line, column, shown, message[:1].lower() + message[1:])
