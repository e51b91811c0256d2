"""What is wrong with curated files, before they are installed."""

from collections.abc import Iterable
from pathlib import Path

from orchestrator.ports import CuratedProblem

from . import access, failures, templates

ACCESS = "access.yaml"
FAILURES = "failures"


def files_of(site: Path) -> list[Path]:
    """The curated files of a site that can be checked."""
    people = site / ACCESS
    templates = sorted((site / "templates").glob("*.yaml"))
    return [*templates, *([people] if people.exists() else []), *failures.files_of(site / FAILURES)]


def lint(files: Iterable[Path]) -> list[CuratedProblem]:
    """What is wrong with these files; empty when nothing is. access.yaml is about people, failures/ about failures."""
    return [problem for file in files for problem in _problems(file)]


def _problems(file: Path) -> Iterable[CuratedProblem]:
    if file.absolute().parent.name == FAILURES:
        return failures.lint(file)
    return access.lint(file) if file.name == ACCESS else templates.lint([file])
