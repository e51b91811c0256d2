"""What is deployed here, asked of git once at the start."""

import subprocess


def _git(*arguments):
    asked = subprocess.run(["git", *arguments], capture_output=True, text=True)
    return asked.stdout.strip()


BRANCH = _git("rev-parse", "--abbrev-ref", "@{upstream}").removeprefix("origin/") or "unknown"
COMMIT = _git("rev-parse", "--short", "HEAD") or "unknown"
