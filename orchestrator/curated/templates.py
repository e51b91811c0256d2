"""Reads `templates/*.yaml`: what is right is in force, what is wrong is told with file, line, column and field."""

from collections.abc import Iterable
from pathlib import Path
from threading import Lock

from orchestrator.domain.template import Template
from orchestrator.ports import CuratedProblem, CuratedTemplates

from .yamlfile import Read, Watched, position
from .yamlfile import read as read_yaml


class CuratedFolder:
    """The templates of a folder. The contract is `ports.Templates`'s."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._files: dict[Path, Watched[Template]] = {}

    def current(self) -> CuratedTemplates:
        """The port's `current`."""
        with self._lock:
            files = sorted(self._folder.glob("*.yaml"))
            self._files = {file: self._files.get(file) or Watched(file, _read) for file in files}
            found = [watched.current() for watched in self._files.values()]
        templates = {template.name: template for template, _ in found if template is not None}
        return CuratedTemplates(dict(sorted(templates.items())), tuple(each for _, wrong in found for each in wrong))


def lint(files: Iterable[Path]) -> list[CuratedProblem]:
    """What is wrong with these files; empty when nothing is."""
    return [problem for file in files for problem in _read(file).problems]


def _read(file: Path) -> Read[Template]:
    found = read_yaml(file, Template, "docs/templates.md")
    if found.model is None or found.model.name == file.stem:
        return found
    line, column = position(found.data, ("name",))
    message = f"must be “{file.stem}”, as the file is called, not “{found.model.name}”"
    return Read(None, (CuratedProblem(str(file), line, column, "name", message),))
