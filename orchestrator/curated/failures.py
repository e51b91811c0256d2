"""Reads `failures/*.yaml`: how failures are recognised and told. An entry that is wrong is left out, with its line."""

from pathlib import Path
from threading import Lock

from pydantic import BaseModel, TypeAdapter, ValidationError

from orchestrator.domain.failures.catalogue import Catalogue, Code, Entry
from orchestrator.ports import CuratedFailures, CuratedProblem

from .yamlfile import Read, Watched, load, position, problems

_PAGE = "docs/failures.md"
_CODE: TypeAdapter[str] = TypeAdapter(Code)


class Entries(BaseModel):
    """The entries of one file that are right, by code."""

    entries: dict[str, Entry]


class CuratedCatalogue:
    """The catalogue in several folders; of two entries with one code the later folder's counts.

    The contract is `ports.FailureCatalogue`'s.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._lock = Lock()
        self._files: dict[Path, Watched[Entries]] = {}
        self._seen: list[tuple[Entries | None, tuple[CuratedProblem, ...]]] = []
        self._current = CuratedFailures()

    def current(self) -> CuratedFailures:
        """The port's `current`."""
        with self._lock:
            files = files_of(*self._folders)
            self._files = {file: self._files.get(file) or Watched(file, read) for file in files}
            found = [watched.current() for watched in self._files.values()]
            if found != self._seen:  # to sort it anew for each failure would be a waste
                entries = {code: entry for model, _ in found if model for code, entry in model.entries.items()}
                self._current = CuratedFailures(Catalogue(entries), tuple(each for _, wrong in found for each in wrong))
                self._seen = found
            return self._current


def files_of(*folders: Path) -> list[Path]:
    """The catalogue's files, in the order in which they count."""
    return [file for folder in folders for file in sorted(folder.glob("*.yaml"))]


def lint(file: Path) -> list[CuratedProblem]:
    """What is wrong with the file; empty when nothing is."""
    return list(read(file).problems)


def read(file: Path) -> Read[Entries]:
    """The entries of a file that are right, and what is wrong with the others."""
    data = load(file, _PAGE)
    if isinstance(data, CuratedProblem):
        return Read(None, (data,))
    entries: dict[str, Entry] = {}
    wrong: list[CuratedProblem] = []
    for code, described in data.items():
        try:
            entries[_code(file, data, code)] = Entry.model_validate(described)
        except ValidationError as error:
            wrong += problems(file, data, error, (code,))
        except _NoCode as refused:
            wrong.append(refused.problem)
    return Read(Entries(entries=entries), tuple(wrong), data)


class _NoCode(Exception):
    def __init__(self, problem: CuratedProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _code(file: Path, data: dict[str, object], code: object) -> str:
    try:
        return _CODE.validate_python(code)
    except ValidationError:
        line, column = position(data, (code,))
        message = "is no code: small letters, digits and hyphens, such as branch-missing"
        raise _NoCode(CuratedProblem(str(file), line, column, str(code)[:60], message)) from None
