"""What is wrong with curated files, before they are installed."""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.ports import CuratedProblem

from . import access, templates

ACCESS = "access.yaml"


def files_of(site: Path) -> list[Path]:
    """The curated files of a site that can be checked."""
    people = site / ACCESS
    return [*sorted((site / "templates").glob("*.yaml")), *([people] if people.exists() else [])]


def lint(files: Iterable[Path]) -> list[CuratedProblem]:
    """What is wrong with these files; empty when nothing is. A file called access.yaml is about people."""
    return [problem for file in files for problem in _problems(file)]


def _problems(file: Path) -> Iterable[CuratedProblem]:
    return access.lint(file) if file.name == ACCESS else templates.lint([file])
