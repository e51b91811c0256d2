"""Reads `access.yaml`: who may do what. What is wrong is told with line and column and changes nothing."""

from pathlib import Path

from orchestrator.domain.people import Access
from orchestrator.ports import CuratedAccess, CuratedProblem

from .yamlfile import Read, Watched
from .yamlfile import read as read_yaml


class CuratedAccessFile:
    """The people of a site. The contract is `ports.AccessFile`'s."""

    def __init__(self, file: Path) -> None:
        self._watched = Watched(file, _read)

    def current(self) -> CuratedAccess:
        """The port's `current`."""
        access, problems = self._watched.current()
        return CuratedAccess(access or Access(), problems)


def lint(file: Path) -> list[CuratedProblem]:
    """What is wrong with the file; empty when nothing is."""
    return list(_read(file).problems)


def _read(file: Path) -> Read[Access]:
    return read_yaml(file, Access, "docs/people.md")
