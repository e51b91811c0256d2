"""What the docs say about names that the code has: compared, so that neither goes stale."""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML

from orchestrator.cli.main import brine
from orchestrator.curated import failures
from orchestrator.domain.durations import format_duration
from orchestrator.domain.failures.explain import FALLBACK_CODES
from orchestrator.domain.template import Template
from orchestrator.settings import CHECKOUT, Settings
from orchestrator.web.app import create_app
from tests.failures.corpus import shipped

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

# What raises an error that a person or a script is shown; the first argument is its code.
ERRORS = {"BadInput", "NotFound", "Conflict", "NotAllowed", "Unavailable", "Unauthenticated", "Refused", "SaltRefused"}

Row = list[str]


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def rows(page: Path) -> list[Row]:
    """The cells of every table row whose first cell is a word in backticks."""
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text(page).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in found]


def first_words(page: Path) -> set[str]:
    """What stands in backticks in the first cells of the page's tables."""
    return {word for row in rows(page) for word in re.findall(r"`([^`]+)`", row[0])}


# Settings


def shown_setting(name: str, field: FieldInfo) -> Row:
    default = field.default
    if default == CHECKOUT:
        shown = "the checkout"
    elif default is None:
        shown = ""
    else:
        shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return [f"`{name}`", f"`BRINE_{name.upper()}`", shown, str(field.description)]


def test_the_table_of_settings_is_the_code_s() -> None:
    assert rows(DOCS / "settings.md") == [shown_setting(*item) for item in Settings.model_fields.items()]


# Templates


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a curated model and of those inside it, as `roles.*.count.max`, with its default."""
    for name, field in model.model_fields.items():
        default = field.default_factory() if field.default_factory else field.default  # type: ignore[call-arg]
        yield f"{prefix}{name}", default
        yield from inner(field.annotation, f"{prefix}{name}.")


def inner(annotation: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from fields(annotation, prefix)
    elif getattr(annotation, "__origin__", None) is dict:
        yield from inner(get_args(annotation)[1], f"{prefix}*.")


def shown_default(default: Any) -> str:
    if default is PydanticUndefined:
        return "required"
    if isinstance(default, BaseModel):
        return "see below"
    if isinstance(default, timedelta):
        return f"`{format_duration(default)}`"
    if isinstance(default, tuple) and default:
        return ", ".join(shown_default(each) for each in default)
    return {None: "none", "": "empty", (): "nothing"}.get(default) if not default and default != 0 else f"`{default}`"


def test_every_field_of_a_template_is_described_with_its_default() -> None:
    expected = {name: "nothing" if default == {} else shown_default(default) for name, default in fields(Template)}
    described = {row[0].strip("`"): row[1] for row in rows(DOCS / "templates.md")}
    assert described == expected


def yaml_blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", text(DOCS / "templates.md"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", yaml_blocks(), ids=lambda block: block.split("\n")[0])
def test_the_templates_that_are_shown_are_right(block: str) -> None:
    assert Template.model_validate(YAML(typ="safe").load(block)).roles


# Commands


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def long_options(command: click.Command) -> set[str]:
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return {name for option in options for name in (*option.opts, *option.secondary_opts) if name.startswith("--")}


def described_commands(page: Path) -> dict[str, set[str]]:
    """command → options, from the table “command | options | what it does”."""
    table = text(page).partition("| command | options |")[2].partition("\n\n")[0]
    lines = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `brine ")]
    return {name.strip().strip("`"): set(re.findall(r"--[a-z-]+", options)) for name, options in lines}


def test_every_command_is_described_with_all_its_options() -> None:
    known = {name: long_options(command) for name, command in commands(brine, "brine")}
    assert described_commands(DOCS / "users.md") == known


def test_what_ops_are_told_of_the_commands_is_right_too() -> None:
    known = {name: long_options(command) for name, command in commands(brine, "brine")}
    described = described_commands(DOCS / "ops.md")
    assert {"brine up", "brine down", "brine status", "brine serve"} <= set(described)
    assert described == {name: known.get(name) for name in described}


def test_no_example_names_a_command_or_an_option_that_is_not_there() -> None:
    known = {name: long_options(command) | {"--help", "--version"} for name, command in commands(brine, "brine")}
    groups = {name.rpartition(" ")[0] for name in known}
    for page in (*PAGES, ROOT / "examples" / "README.md"):
        for example in re.findall(r"(?:^\$ |`)(brine [a-z][^`\n|]*)", text(page), re.MULTILINE):
            words = example.split()
            name = " ".join(words[:3] if " ".join(words[:2]) in groups else words[:2])
            assert name in known, f"{page.name}: {example}"
            assert set(re.findall(r"(?<!\S)--[a-z-]+", example)) <= known[name], f"{page.name}: {example}"


# HTTP


def test_every_path_of_the_api_is_listed_with_its_methods(world: Any) -> None:
    documented = create_app(world).api_doc["paths"]
    known = {path: {method.upper() for method in methods} for path, methods in documented.items()}
    listed = {row[0].strip("`"): set(row[1].split(", ")) for row in rows(DOCS / "api.md") if row[0].startswith("`/")}
    open_pages = {path: {"GET"} for path in ("/healthz", "/readyz", "/metrics")}
    assert listed == known | open_pages


# Codes


def calls(names: set[str]) -> Iterator[ast.Call]:
    for file in sorted((ROOT / "orchestrator").rglob("*.py")):
        for node in ast.walk(ast.parse(text(file))):
            if isinstance(node, ast.Call) and (node.func.id if isinstance(node.func, ast.Name) else "") in names:
                yield node


def constant(node: ast.expr | None) -> set[str]:
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def error_codes() -> set[str]:
    """The codes of errors: first arguments of the error classes, and second ones of `problem`."""
    first = [constant(call.args[0]) for call in calls(ERRORS) if call.args]
    return set().union(*first, *(constant(call.args[1]) for call in calls({"problem"}) if len(call.args) > 1))


def failure_codes() -> set[str]:
    named = (keyword.value for call in calls({"Failure"}) for keyword in call.keywords if keyword.arg == "code")
    return set().union(FALLBACK_CODES, *map(constant, named))


def strings() -> set[str]:
    """Every string constant of the code."""
    files = (ROOT / "orchestrator").rglob("*.py")
    return {value for file in files for node in ast.walk(ast.parse(text(file))) for value in constant(node)}  # type: ignore[arg-type]


def codes_of_api_page() -> set[str]:
    section = text(DOCS / "api.md").partition("## Every code")[2]
    return set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE))


def test_the_code_s_errors_are_found() -> None:
    assert {"name-taken", "token-unknown", "salt-unreachable", "superseded", "internal-error"} <= error_codes()
    assert {"branch-missing", "state-failed", "never-started"} <= failure_codes()


def test_every_code_of_an_error_is_listed() -> None:
    assert error_codes() - codes_of_api_page() == set()


def test_no_code_is_listed_that_is_not_there() -> None:
    assert (codes_of_api_page() | first_words(DOCS / "failures.md")) - strings() - set(shipped().entries) == set()


def test_every_kind_of_failure_is_described() -> None:
    assert failure_codes() - first_words(DOCS / "failures.md") == set()


def test_the_kinds_of_failures_are_the_catalogue_s() -> None:
    section = text(DOCS / "failures.md").partition("## The kinds")[2].partition("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    entries = sorted(shipped().entries.items())
    assert shown == [f"| `{code}` | {entry.audience} | {entry.title} |" for code, entry in entries]


def test_the_example_of_an_entry_is_right(tmp_path: Path) -> None:
    file = tmp_path / "example.yaml"
    file.write_text(re.findall(r"```yaml\n(.*?)```", text(DOCS / "failures.md"), re.DOTALL)[0])
    assert failures.read(file).problems == ()


# Rights


def test_the_rights_that_ops_give_are_those_of_the_embedded_stack() -> None:
    from orchestrator.embedded import saltconfig

    blocks = re.findall(r"```yaml\n(.*?)```", text(DOCS / "ops.md"), re.DOTALL)
    master = next(data for data in map(YAML(typ="safe").load, blocks) if "external_auth" in data)
    assert master["external_auth"]["pam"]["brinepool"] == saltconfig.rights()
    assert master["ext_pillar"] == [{"brinepool": {}}]


# Links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text(page), flags=re.DOTALL)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {link}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links(page)]
    assert {page for page in PAGES if "adr/0" not in str(page)} - reached == set()
