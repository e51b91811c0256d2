"""Reads `templates/*.yaml`: what is right is in force, what is wrong is told with file, line, column and field."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from orchestrator.domain.template import Template
from orchestrator.ports import CuratedTemplates, TemplateProblem


@dataclass(frozen=True)
class _Read:
    """One file as it was read: its stamp, and its template or what is wrong."""

    stamp: tuple[int, int]
    template: Template | None
    problems: tuple[TemplateProblem, ...]


class CuratedFolder:
    """The templates of a folder. The contract is `ports.Templates`'s."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._read: dict[Path, _Read] = {}
        self._good: dict[Path, Template] = {}

    def current(self) -> CuratedTemplates:
        """The port's `current`."""
        with self._lock:
            files = sorted(self._folder.glob("*.yaml"))
            for file in files:
                self._refresh(file)
            for gone in set(self._read) - set(files):
                del self._read[gone]
                self._good.pop(gone, None)
            problems = [problem for read in self._read.values() for problem in read.problems]
            templates = {template.name: template for template in self._good.values()}
            return CuratedTemplates(dict(sorted(templates.items())), tuple(problems))

    def _refresh(self, file: Path) -> None:
        stat = file.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._read.get(file)
        if known is not None and known.stamp == stamp:
            return
        template, problems = read(file)
        self._read[file] = _Read(stamp, template, tuple(problems))
        if template is not None:
            self._good[file] = template


def lint(files: Iterable[Path]) -> list[TemplateProblem]:
    """What is wrong with these files; empty when nothing is."""
    return [problem for file in files for problem in read(file)[1]]


def read(file: Path) -> tuple[Template | None, list[TemplateProblem]]:
    """A template, or what is wrong with its file."""
    try:
        data = YAML(typ="rt").load(file.read_text(encoding="utf-8"))
    except OSError as error:
        return None, [TemplateProblem(str(file), 1, 1, "", f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return None, [TemplateProblem(str(file), 1, 1, "", "is not text in UTF-8")]
    except YAMLError as error:
        return None, [_yaml_problem(file, error)]
    if not isinstance(data, dict):
        return None, [TemplateProblem(str(file), 1, 1, "", "is no mapping; see docs/templates.md for its fields")]
    try:
        template = Template.model_validate(data)
    except ValidationError as error:
        return None, [_problem(file, data, found) for found in error.errors(include_url=False)]
    if template.name != file.stem:
        line, column = _position(data, ("name",))
        message = f"must be “{file.stem}”, as the file is called, not “{template.name}”"
        return None, [TemplateProblem(str(file), line, column, "name", message)]
    return template, []


def _yaml_problem(file: Path, error: YAMLError) -> TemplateProblem:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    what = (error.problem if isinstance(error, MarkedYAMLError) else None) or "this is not YAML"
    return TemplateProblem(str(file), mark.line + 1 if mark else 1, mark.column + 1 if mark else 1, "", what)


def _problem(file: Path, data: Any, found: Any) -> TemplateProblem:
    path = tuple(found["loc"])
    line, column = _position(data, path)
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        message = "there is no such field; check its spelling"
    elif found["type"] == "missing":
        message = "is missing"
    shown = ".".join(str(part) for part in path if part != "[key]")
    return TemplateProblem(str(file), line, column, shown, message[:1].lower() + message[1:])


def _position(data: Any, path: Sequence[Any]) -> tuple[int, int]:
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
