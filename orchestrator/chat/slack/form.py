"""The form for a new environment in Slack: what it looks like, and the command that it stands for. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.chat.plain import clean
from orchestrator.domain.durations import parse_duration
from orchestrator.domain.errors import BadInput
from orchestrator.domain.names import ENVIRONMENT_MAX, check_environment_name

Block = dict[str, Any]

CREATE = "brine_create"  # the form's and the shortcut's callback id
TEMPLATE, BRANCH, NAME, TTL = "template", "branch", "name", "ttl"
MAX_OPTIONS = 100
_LABEL = 75
_VALUE = "value"
_BRANCHES = re.compile(r"[^\s=]+|[a-z][a-z0-9-]*=\S+(?:\s+[a-z][a-z0-9-]*=\S+)*")
_TEMPLATE = re.compile(r"[a-z][a-z0-9-]*")


def form(templates: Mapping[str, str], place: str) -> Block:
    """The form over these templates, by name with their descriptions. `place` comes back when it is sent in."""
    return {
        "type": "modal",
        "callback_id": CREATE,
        "private_metadata": place,
        "title": _text("New environment"),
        "submit": _text("Create"),
        "close": _text("Cancel"),
        "blocks": [
            _input(TEMPLATE, "Template", _template(templates)),
            _input(BRANCH, "Branch", _line("feature/cart"), hint="One, or one for each: api=main web=feature/cart"),
            _input(NAME, "Name", _line("cart-test", ENVIRONMENT_MAX), optional=True, hint="Left out: one is made up."),
            _input(
                TTL, "For how long", _line("2d"), optional=True, hint="30m, 4h, 2d. Left out: as the template says."
            ),
        ],
    }


def command(state: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """What a form that was filled in stands for: `create shop feature/cart as x for 2d`, or what is wrong in which
    field, in a sentence each."""
    template, branch = _filled(state, TEMPLATE), _filled(state, BRANCH)
    name, ttl = _filled(state, NAME), _filled(state, TTL)
    wrong = {}
    if not _TEMPLATE.fullmatch(template):
        wrong[TEMPLATE] = "Pick a template."
    if not _BRANCHES.fullmatch(branch):
        wrong[BRANCH] = "Write one branch, or one for each role or app: api=main web=feature/cart."
    for field, value, check in ((NAME, name, _check_name), (TTL, ttl, parse_duration)):
        try:
            if value:
                check(value)
        except BadInput as error:
            wrong[field] = error.message
    parts = [f"create {template} {branch}", f"as {name}" if name else "", f"for {ttl}" if ttl else ""]
    return " ".join(filter(None, parts)), wrong


def _check_name(name: str) -> object:
    """Whether it ends like a server's name is for the command to say: it knows the roles."""
    return check_environment_name(name, frozenset())


def _filled(state: Mapping[str, Any], field: str) -> str:
    values = state.get("values")
    block = values.get(field) if isinstance(values, Mapping) else None
    element = block.get(_VALUE) if isinstance(block, Mapping) else None
    if not isinstance(element, Mapping):
        return ""
    chosen = element.get("selected_option")
    value = chosen.get("value") if isinstance(chosen, Mapping) else element.get("value")
    return " ".join(value.split()) if isinstance(value, str) else ""


def _template(templates: Mapping[str, str]) -> Block:
    """A list to pick from; where that would be too long, a line to type in."""
    if len(templates) > MAX_OPTIONS:
        return _line(next(iter(templates)))
    return {
        "type": "static_select",
        "action_id": _VALUE,
        "options": [_option(name, description) for name, description in templates.items()],
    }


def _option(name: str, description: str) -> Block:
    option: Block = {"text": _text(name[:_LABEL]), "value": name}
    return {**option, "description": _text(clean(description)[:_LABEL])} if clean(description) else option


def _line(example: str, longest: int = 255) -> Block:
    return {
        "type": "plain_text_input",
        "action_id": _VALUE,
        "max_length": longest,
        "placeholder": _text(example),
    }


def _input(field: str, label: str, element: Block, *, optional: bool = False, hint: str = "") -> Block:
    block = {"type": "input", "block_id": field, "label": _text(label), "element": element, "optional": optional}
    return {**block, "hint": _text(hint)} if hint else block


def _text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}
