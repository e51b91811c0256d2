"""What ops curate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.domain.failures import Catalogue
from orchestrator.domain.people import Access
from orchestrator.domain.template import Template


@dataclass(frozen=True)
class CuratedProblem:
    """One thing that is wrong in a curated file: where (1-based) and what, in a sentence."""

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


@dataclass(frozen=True)
class CuratedTemplates:
    """The templates in force, and what is wrong with files that could not be taken."""

    templates: Mapping[str, Template] = field(default_factory=dict)
    problems: Sequence[CuratedProblem] = ()


class Templates(Protocol):
    """The curated templates. A file that became wrong leaves its last good version in force."""

    def current(self) -> CuratedTemplates:
        """What is in force now; files that changed since the last call are read again."""


@dataclass(frozen=True)
class CuratedFailures:
    """The catalogue of failures in force, and what is wrong with entries that could not be taken."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    problems: Sequence[CuratedProblem] = ()


class FailureCatalogue(Protocol):
    """The curated catalogue of failures. An entry that is wrong is left out; the others are in force."""

    def current(self) -> CuratedFailures:
        """What is in force now; files that changed since the last call are read again."""


@dataclass(frozen=True)
class CuratedAccess:
    """Who may do what, and what is wrong with a file that could not be taken."""

    access: Access = field(default_factory=Access)
    problems: Sequence[CuratedProblem] = ()


class AccessFile(Protocol):
    """The curated `access.yaml`. A file that became wrong leaves its last good version in force."""

    def current(self) -> CuratedAccess:
        """What is in force now; a file that changed since the last call is read again. No file: nobody is listed."""
