"""The sample apps as git repositories, and the wheels that they are built from."""

from pathlib import Path

from .home import Home


def prepare(home: Home, site: Path) -> None:
    """Make what is missing: `<home>/repos/*.git` from `<site>/examples`, and `<home>/wheels`."""
