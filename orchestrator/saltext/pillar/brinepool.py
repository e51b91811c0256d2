"""The ext_pillar `brinepool`: gives a minion its record and its env file, under the pillar key `brinepool`.

In: the record that our runner keeps in the master's cache (bank `brinepool/servers`, key = minion id), and the env
files below `<site>/envfiles`, which only the master reads. Out: `{}` for a minion without a record, else the record's
fields without `operation` and `needs`, and

    env    every variable that is in force while the app is built and runs; later wins: `common.env`,
           `<template>/common.env`, `<template>/<role>.env`, the wiring to siblings, HOST and PORT
    plain  the names of those that did not come from an env file, and so need no masking

Raises EnvFileError for a file that cannot be read as an env file; Salt hands its sentence to whoever asked for the
pillar. Identity is the minion id, which Salt has proved by the minion's key, and never a grain.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import salt.cache

from orchestrator.domain.envfile import NAME
from orchestrator.domain.record import BANK, Record

__virtualname__ = "brinepool"


class EnvFileError(Exception):
    """An env file is wrong; the sentence says which, where and what, and never shows a value."""


def __virtual__() -> str:
    return __virtualname__


def ext_pillar(minion_id: str, pillar: dict[str, Any], envfiles: str | None = None) -> dict[str, Any]:
    """The minion's pillar; `envfiles` is the folder of the env files (default: the site's)."""
    stored = salt.cache.Cache(__opts__).fetch(BANK, minion_id)
    if not stored:
        return {}
    folder = Path(envfiles or os.path.join(__opts__["brinepool"]["site"], "envfiles"))
    return {"brinepool": pillar_of(Record.model_validate(stored), folder)}


def pillar_of(record: Record, envfiles: Path) -> dict[str, Any]:
    """What the minion that `record` describes is told."""
    wired = record.wiring() | {"HOST": record.address or "", "PORT": str(record.port)}
    fields = record.model_dump(mode="json", exclude={"operation", "needs", "server"})
    return fields | {"env": layered(envfiles, record.template, record.role) | wired, "plain": sorted(wired)}


def layered(envfiles: Path, template: str, role: str) -> dict[str, str]:
    """The variables of the env files, later files winning. A file that is not there has none."""
    names = ("common.env", f"{template}/common.env", f"{template}/{role}.env")
    return {name: value for file in names for name, value in _variables(envfiles, file)}


def _variables(envfiles: Path, file: str) -> Iterator[tuple[str, str]]:
    """The variables of one file, in order."""
    from dotenv.parser import parse_stream

    path = _inside(envfiles, file)
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as stream:
        try:
            bindings = list(parse_stream(stream))
        except (OSError, UnicodeDecodeError) as error:
            raise EnvFileError(f"envfiles/{file} cannot be read: {type(error).__name__}.") from None
    for binding in bindings:
        if binding.error or (binding.key and (binding.value is None or not NAME.fullmatch(binding.key))):
            raise EnvFileError(f"envfiles/{file}, line {_line(binding.original)}: write NAME=value.")
        if binding.key:
            yield binding.key, binding.value or ""


def _line(original: Any) -> int:
    """The line of the statement itself; the parser counts blank lines before it as part of it."""
    leading = original.string[: len(original.string) - len(original.string.lstrip())]
    return int(original.line) + leading.count("\n")


def _inside(envfiles: Path, file: str) -> Path:
    """The file's path. A link that leads out of the folder is refused: it could name any file of the master."""
    path = (envfiles / file).resolve()
    if not path.is_relative_to(envfiles.resolve()):
        raise EnvFileError(f"envfiles/{file} leads out of the folder envfiles; put the file itself there.")
    return path
