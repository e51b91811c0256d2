"""A Brinepool that is killed, as by SIGKILL from outside, when it comes to one function: for tests/unit/test_reaper.py.

`python -m tests.unit.reaper_program FOLDER SALT-API MOMENT MODULE FUNCTION`
"""

import importlib
import os
import signal
import sys
import threading
from datetime import datetime
from pathlib import Path

from orchestrator.saltapi.adapter import SaltApi
from tests.fakes.chat import MemoryChat
from tests.fakes.instant import Travelling
from tests.fakes.saltapi import IMPATIENT, PASSWORD, USER
from tests.unit.reaper_stage import settings_for, staged


def die(*_: object, **__: object) -> None:
    """Nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: str, salt_api: str, moment: str, module: str, function: str) -> None:
    """Do what is due at that moment, with that function in the place of its own."""
    setattr(importlib.import_module(module), function, die)
    salt = SaltApi(salt_api, USER, lambda: PASSWORD, patience=IMPATIENT)
    with staged(settings_for(Path(folder)), salt, Travelling(datetime.fromisoformat(moment)), MemoryChat()):
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
