"""What `make demo` does: start the embedded stack, create a real environment from chat's own verbs, fetch its page.

It talks to Brinepool as a person would, through the command line; run it twice and it shows what is there.
"""

import html
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

BRINE = str(Path(sys.executable).parent / "brine")
NAME, TEMPLATE, BRANCH = "demo", "shop", "feature/cart"


def brine(*arguments: str) -> int:
    """Run a command as a person would, and show it."""
    print(f"\n$ brine {' '.join(arguments)}", flush=True)
    return subprocess.run([BRINE, *arguments], check=False).returncode


def answer(*arguments: str) -> dict | None:
    """What a command answers as JSON; None when it failed."""
    done = subprocess.run([BRINE, *arguments, "--json"], check=False, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def main() -> int:
    """The demo; its exit code is that of the first command that failed."""
    if code := brine("up"):
        return code
    there = answer("env", "show", NAME) is not None
    if code := brine("env", "show", NAME) if there else brine("env", "create", TEMPLATE, NAME, "--branch", BRANCH):
        return code
    shown = answer("env", "show", NAME) or {"servers": []}
    web = next(server for server in shown["servers"] if server["role"] == "web")
    api = next(server for server in shown["servers"] if server["role"] == "api")
    with urllib.request.urlopen(web["url"], timeout=30) as response:  # noqa: S310  (an address of our own)
        page = response.read().decode()
    print(f"\n{web['url']} ({web['name']}) shows what {api['url']} ({api['name']}) serves:\n")
    print(as_text(page))
    print(f"\nNext: brine env create {TEMPLATE} --branch feature/tax  |  brine env terminate {NAME}  |  make down")
    return 0


def as_text(page: str) -> str:
    """A page as lines of text, well enough for a terminal."""
    body = re.sub(r"(?s)<(head|style|script).*?</\1>", "", page)
    lines = html.unescape(
        re.sub(r"<[^>]+>", " ", re.sub(r"</(h\d|p|li|tr|div|header|footer)>", "\n", body))
    ).splitlines()
    return "\n".join(f"  {' '.join(line.split())}" for line in lines if line.strip())


if __name__ == "__main__":
    sys.exit(main())
