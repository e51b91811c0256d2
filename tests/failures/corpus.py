"""The recorded failures: what was broken, what real Salt returned, and how it is to be told."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from orchestrator.curated.failures import CuratedCatalogue
from orchestrator.domain.failures import Catalogue, Failure, Subject, explain, explain_document, never_started
from orchestrator.settings import CHECKOUT

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Case:
    """One folder of the corpus. `expected`: what is to be told, as `told_of` writes it; None before it was decided."""

    name: str
    kind: str
    broken: str
    recorded: Mapping[str, Any]
    expected: list[dict[str, Any]] | None

    @property
    def subject(self) -> Subject:
        """Whose return it is."""
        found = self.recorded
        names = {key: str(found.get(key) or "") for key in ("server", "role", "branch", "repository")}
        names["server"] = names["server"].replace("*", "")
        return Subject(**names, branches=tuple(found.get("branches") or ()))

    def explained(self, catalogue: Catalogue) -> list[Failure]:
        """What people are told of it."""
        found, source = self.recorded, self.recorded["from"]
        if source == "silence" and not isinstance(found.get("ret"), str):
            return [never_started(self.subject.server, "5m", str(found.get("log") or ""), catalogue)]
        if source == "minion" and self.subject.server:
            return explain(found["ret"], self.subject, catalogue, found.get("retcode") or 0)
        return explain_document(found["ret"], self.subject, catalogue)


@cache
def shipped() -> Catalogue:
    """The catalogue as it is in the checkout, without the entries that are wrong."""
    return CuratedCatalogue(CHECKOUT / "failures").current().catalogue


def cases() -> list[Case]:
    """Those that were recorded."""
    folders = sorted(folder for folder in FOLDER.iterdir() if (folder / "recorded.json").is_file())
    return [_case(folder) for folder in folders]


def told_of(failures: list[Failure]) -> list[dict[str, Any]]:
    """What `expected.yaml` holds of each failure."""
    return [
        {"code": each.code, "audience": each.audience, "servers": list(each.servers), "lines": each.lines}
        for each in failures
    ]


def _case(folder: Path) -> Case:
    described = YAML(typ="safe").load((folder / "case.yaml").read_text())
    expected = folder / "expected.yaml"
    return Case(
        name=folder.name,
        kind=str(described["kind"]),
        broken=str(described["broken"]),
        recorded=json.loads((folder / "recorded.json").read_text()),
        expected=YAML(typ="safe").load(expected.read_text()) if expected.is_file() else None,
    )
