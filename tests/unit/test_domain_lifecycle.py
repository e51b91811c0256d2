import re
from pathlib import Path

import pytest

from orchestrator.domain import lifecycle
from orchestrator.domain.lifecycle import EnvironmentStatus as E
from orchestrator.domain.lifecycle import OperationState as O
from orchestrator.domain.lifecycle import ServerStatus as S

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.mark.parametrize(
    ("table", "kind"), [(lifecycle.ENVIRONMENT, E), (lifecycle.SERVER, S), (lifecycle.OPERATION, O)]
)
def test_every_status_has_a_row_and_every_edge_is_checked(table: dict, kind: type) -> None:
    assert set(table) == set(kind)
    for old in kind:
        for new in kind:
            if new in table[old]:
                lifecycle.check(old, new)
            else:
                with pytest.raises(lifecycle.IllegalTransition):
                    lifecycle.check(old, new)


def test_everything_can_be_terminated_and_nothing_comes_back() -> None:
    for table, gone, going in (
        (lifecycle.ENVIRONMENT, E.TERMINATED, E.TERMINATING),
        (lifecycle.SERVER, S.TERMINATED, S.TERMINATING),
    ):
        assert table[gone] == frozenset()
        assert all(going in edges for status, edges in table.items() if status not in (going, gone))


@pytest.mark.parametrize(("title", "table"), [("environment", lifecycle.ENVIRONMENT), ("server", lifecycle.SERVER)])
def test_the_drawing_in_the_docs_is_the_table(title: str, table: dict) -> None:
    text = ARCHITECTURE.read_text()
    drawing = re.search(rf"<!-- life cycle: {title} -->\s*```mermaid\n(.*?)```", text, re.S)
    assert drawing, f"docs/architecture.md draws no life cycle of the {title}"
    drawn = set(re.findall(r"^\s*(\w+) --> (\w+)", drawing[1], re.M))
    assert drawn == {(str(old), str(new)) for old, edges in table.items() for new in edges}
