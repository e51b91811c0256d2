"""Names: what may be called what. A server's name is its Salt minion id: `<environment>-<role>-<n>`."""

import re

from .errors import BadInput

ENVIRONMENT_MAX = 40
ROLE = re.compile(r"[a-z][a-z0-9]*")
ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]*")
SERVER = re.compile(r"(?P<environment>[a-z][a-z0-9-]*)-(?P<role>[a-z][a-z0-9]*)-(?P<number>[1-9][0-9]*)")


def server_id(environment: str, role: str, number: int) -> str:
    """The server's name and minion id, for example `cart-test-web-2`."""
    return f"{environment}-{role}-{number}"


def check_environment_name(name: str, roles: frozenset[str] | set[str]) -> str:
    """Return `name` if an environment may be called so; `roles` are the roles of all templates.

    Raises BadInput with what is wrong: the characters, the length, or an ending that reads like a server's name.
    """
    if not ENVIRONMENT.fullmatch(name) or name.endswith("-"):
        raise BadInput(
            "name-invalid",
            f"“{name}” cannot be a name: use small letters, digits and hyphens, beginning with a letter, "
            "such as cart-test.",
        )
    if len(name) > ENVIRONMENT_MAX:
        raise BadInput("name-too-long", f"The name “{name}” has {len(name)} characters; use at most {ENVIRONMENT_MAX}.")
    ending = SERVER.fullmatch(name)
    if ending and ending["role"] in roles:
        raise BadInput(
            "name-like-a-server",
            f"The name “{name}” reads like server {ending['number']} of “{ending['environment']}”; "
            f"choose one that does not end in -{ending['role']}-{ending['number']}.",
        )
    return name


def split_server_id(server: str) -> tuple[str, str, int] | None:
    """`cart-test-web-2` → (`cart-test`, `web`, 2); None when it is not a server's name."""
    match = SERVER.fullmatch(server)
    return (match["environment"], match["role"], int(match["number"])) if match else None
