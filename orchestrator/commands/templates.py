"""Templates: list, show, and what is wrong with the curated files."""

from orchestrator.domain.durations import format_duration
from orchestrator.domain.template import Template, public_url

from . import find
from .views import RoleView, TemplateProblemView, TemplateView
from .world import World


def list_all(world: World) -> list[TemplateView]:
    """The templates in force, by name."""
    known = world.templates.current().templates
    return [_view(known[name]) for name in sorted(known)]


def show(world: World, name: str) -> TemplateView:
    """One template. NotFound when there is none."""
    return _view(find.template(world, name))


def problems(world: World) -> list[TemplateProblemView]:
    """What is wrong with files that could not be taken; their last good version, if any, is in force."""
    found = world.templates.current().problems
    return [
        TemplateProblemView(file=each.file, line=each.line, column=each.column, field=each.field, message=each.message)
        for each in found
    ]


def _view(template: Template) -> TemplateView:
    return TemplateView(
        name=template.name,
        description=template.description,
        ttl=format_duration(template.ttl.default),
        ttl_max=format_duration(template.ttl.max),
        rooms=list(template.rooms) if template.rooms is not None else None,
        roles=[
            RoleView(
                role=name,
                app=role.app,
                repository=public_url(role.repository),
                branch=role.branch,
                profile=role.profile,
                count=role.count.model_dump(),
                needs=dict(role.needs),
            )
            for name, role in template.roles.items()
        ],
    )
