"""Everything in this folder drives real peers: Salt, or a chat service."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark it so."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)
