"""Builds the app, in the way of the branch."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import how
import tell


def works():
    """Also what works is read by somebody: it is in no return, but nothing promises that."""
    print(tell.everything())


def prints():
    print(tell.everything())
    subprocess.run(["env"], check=True)
    print(tell.NO_SECRET)
    sys.exit(3)


def shells():
    """All ways in which shells show variables."""
    for shell in ("sh", "bash"):
        subprocess.run([shell, "-c", 'set -x; : "$CANARY" $CANARY "$FLAVOUR$CANARY"; export -p; set'], check=False)
    subprocess.run(["bash", "-c", 'printf "%q %q\\n" "$CANARY" "$DATABASE_URL"; declare -p CANARY'], check=False)
    print(tell.NO_SECRET)
    sys.exit(4)


def raises():
    print(tell.NO_SECRET)
    raise RuntimeError(tell.NO_SECRET, tell.values(), dict(os.environ))


def killed():
    print(tell.everything(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def spoils():
    """Where the app's log should be there is a folder, so the service cannot be started."""
    print(tell.everything())
    log = Path("..", "app.log")
    log.unlink(missing_ok=True)
    log.mkdir(exist_ok=True)


def waits():
    """In the middle until somebody says go on, the first time."""
    print(tell.everything(), flush=True)
    if not Path("..", "go-on").exists():
        Path("..", "in-the-middle").touch()
        while not Path("..", "go-on").exists():
            time.sleep(0.1)
    prints()


globals()[how.BUILD]()
