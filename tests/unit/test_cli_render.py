"""Tables fit the terminal that they are read on."""

from io import StringIO

import pytest
from rich.console import Console

from orchestrator.cli.render import Fitting


@pytest.mark.parametrize(
    ("width", "columns"),
    [(24, "SERVER STATUS"), (40, "SERVER STATUS BRANCH"), (50, "SERVER STATUS BRANCH URL")],
)
def test_a_table_leaves_out_what_is_least_needed_until_it_fits(width: int, columns: str) -> None:
    out = StringIO()
    row = ("cart-test-web-1", "failed", "main", "http://127.1.2.3")
    Console(file=out, width=width).print(Fitting(("SERVER", "STATUS", "BRANCH", "URL"), [row], needed=2))
    lines = out.getvalue().splitlines()
    assert "".join(lines).replace(" ", "").startswith(columns.replace(" ", ""))
    assert all(len(line) <= width for line in lines)
    assert ("http" in out.getvalue()) == columns.endswith("URL")
