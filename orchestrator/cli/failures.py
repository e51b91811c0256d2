"""`brine failures …`: how failures are told. Without a server: it reads the site's catalogue and a saved return."""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from orchestrator import settings
from orchestrator.domain.errors import BadInput
from orchestrator.domain.failures import Failure, Subject, explain_document

from . import render
from .session import Session, json_option, pass_session

LARGEST = 256 * 1024 * 1024  # bytes
_SPACE = re.compile(r"\s*")


@click.group()
def failures() -> None:
    """Failures: how they are recognised, and what is said about them."""


@failures.command("list")
@json_option
@pass_session
def list_all(session: Session) -> None:
    """List the catalogue, in the order in which it is tried.

    Its entries lie in failures/*.yaml. Those that are wrong are told, and left out.

    \b
    Example:
      brine failures list
    """
    found = _catalogue()
    entries = sorted(found.catalogue.entries.items(), key=lambda item: -item[1].priority)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("code", "priority", "for", "what is said"):
        table.add_column(column)
    for code, entry in entries:
        table.add_row(code, str(entry.priority), entry.audience, entry.title)
    problems = [str(problem) for problem in found.problems]
    data = {"failures": [{"code": code, **entry.model_dump(mode="json")} for code, entry in entries]}
    session.show({**data, "problems": problems}, table)
    for problem in problems if not session.as_json else ():
        click.echo(render.plain(problem), err=True)


@failures.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--role", default="", help="The role whose server it was, for the words.")
@click.option("--branch", default="", help="The branch that was being deployed.")
@json_option
@pass_session
def test(session: Session, file: Path, role: str, branch: str) -> None:
    """Explain a saved Salt return, as an environment would be told it.

    FILE is what `salt --out=json`, `brine job JID --json`, salt-api or an event gave; `-` reads the input. For trying
    new entries of the catalogue.

    \b
    Examples:
      salt cart-test-web-1 state.apply --out=json > return.json; brine failures test return.json
      brine job 20261125093000123456 --json | brine failures test -
    """
    found = _catalogue()
    told = explain_document(_document(file), Subject(role=role, branch=branch), found.catalogue)
    session.show({"failures": [each.to_data() for each in told]}, *(_told(told) or ["Nothing failed in it."]))
    for problem in found.problems if not session.as_json else ():
        click.echo(render.plain(str(problem)), err=True)


def _catalogue() -> Any:
    from orchestrator.bootstrap import failure_catalogue

    return failure_catalogue(settings.load()).current()


def _document(file: Path) -> object:
    """What the file holds: JSON, or else the text as it is. Raises BadInput when there is nothing to read."""
    try:
        data = sys.stdin.buffer.read(LARGEST) if str(file) == "-" else _bytes_of(file)
    except OSError as error:
        raise BadInput("file-unreadable", f"{file} cannot be read: {error.strerror}.") from error
    text = data.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise BadInput("file-empty", "There is nothing in it; save what `salt --out=json` prints, and try again.")
    try:
        return _unwrapped(_parsed(text))
    except (ValueError, RecursionError):
        return text


def _parsed(text: str) -> object:
    """One JSON document, or the documents that `salt --out=json` prints one after the other: one for each minion.

    Raises ValueError for what is no JSON, RecursionError for what is nested too deep.
    """
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        document, end = decoder.raw_decode(text, at)
        found.append(document)
        space = _SPACE.match(text, end)
        at = space.end() if space else end
    mappings = [each for each in found if isinstance(each, Mapping)]
    if len(found) > 1 and len(mappings) == len(found):
        return {name: part for each in mappings for name, part in each.items()}
    if len(found) > 1:
        raise ValueError("several documents that are no returns of minions")
    return found[0]


def _bytes_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(LARGEST)


def _unwrapped(document: object) -> object:
    """`brine job --json` wraps the returns of a job."""
    if isinstance(document, Mapping) and "jid" in document and isinstance(document.get("returns"), Mapping):
        return document["returns"]
    return document


def _told(told: list[Failure]) -> list[str]:
    return ["\n".join([*map(render.plain, each.lines), f"({each.code}, for {each.audience})", ""]) for each in told]
