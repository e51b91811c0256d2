"""`brine template …`: what ops curate."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from orchestrator import settings
from orchestrator.commands.views import TemplateProblemView, TemplateView

from . import render
from .client import path
from .session import Session, json_option, pass_session


@click.group()
def template() -> None:
    """Templates: what environments are made from."""


@template.command("list")
@json_option
@pass_session
def list_all(session: Session) -> None:
    """List templates.

    \b
    Example:
      brine template list
    """
    found = session.client.many(TemplateView, "templates", path("templates"))
    problems = session.client.many(TemplateProblemView, "problems", path("templates"))
    data = {
        "templates": [each.model_dump(mode="json") for each in found],
        "problems": [each.model_dump(mode="json") for each in problems],
    }
    session.show(data, render.templates(found) if found else "There is no template; ops put them into templates/.")
    for problem in problems if not session.as_json else ():
        click.echo(_line(**problem.model_dump()), err=True)


@template.command()
@click.argument("name")
@json_option
@pass_session
def show(session: Session, name: str) -> None:
    """Show the roles of a template.

    \b
    Example:
      brine template show shop
    """
    found = session.client.one(TemplateView, path("templates", name))
    facts = f"{found.name}: {found.description}\nlives for {found.ttl}, at most {found.ttl_max}\n"
    session.show(found, facts, render.template(found))


@template.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@pass_session
def lint(session: Session, files: Sequence[Path]) -> None:
    """Check template FILES, and access.yaml.

    Before they are installed, so without a server. Left out: the files of the site. Exits with 2 when one is wrong.

    \b
    Examples:
      brine template lint
      brine template lint templates/shop.yaml
      brine template lint access.yaml
    """
    from orchestrator.curated import lint as curated

    chosen = list(files) or curated.files_of(settings.load().site)
    problems = [asdict(problem) for problem in curated.lint(chosen)]
    if session.as_json:
        session.show({"files": [str(file) for file in chosen], "problems": problems})
    for problem in problems if not session.as_json else ():
        click.echo(_line(**problem), err=True)
    if problems:
        raise click.exceptions.Exit(2)
    session.say(f"{len(chosen)} {'file is' if len(chosen) == 1 else 'files are'} right.")


def _line(file: str, line: int, column: int, field: str, message: str) -> str:
    where = f"{file}:{line}:{column}"
    return render.plain(f"{where}: {field}: {message}" if field else f"{where}: {message}")
