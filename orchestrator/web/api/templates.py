"""/api/v1/templates"""

from flask import Response
from pydantic import BaseModel

from orchestrator.commands import templates as commands
from orchestrator.commands.views import TemplateProblemView, TemplateView

from .context import Name, answers, blueprint, found, world

api = blueprint("templates", "What ops curate.")


class Templates(BaseModel):
    """The templates in force, and what is wrong in files that could not be taken."""

    templates: list[TemplateView]
    problems: list[TemplateProblemView]


@api.get("", responses=answers(200, Templates))
def list_templates() -> Response:
    """List templates"""
    return found(Templates(templates=commands.list_all(world()), problems=commands.problems(world())))


@api.get("/<name>", responses=answers(200, TemplateView, 404))
def show_template(path: Name) -> Response:
    """Show a template"""
    return found(commands.show(world(), path.name))
