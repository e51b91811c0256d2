"""A whole Brinepool as a process of its own, for `bench.load`: `python -m bench.load_server HOME SALT_API_URL`.

It prints the port that it answers on; each line on its stdin is then answered with one on its stdout: how many events
of Salt's it has handled so far, and the memory that it has (resident, in bytes). It ends when its stdin does.
"""

import logging
import sys
import threading
from pathlib import Path

import psutil

from orchestrator import bootstrap
from orchestrator.saltapi.adapter import SaltApi
from orchestrator.settings import Settings
from orchestrator.web.app import create_app
from orchestrator.web.serve import Server

CAP = 10


def main(folder: Path, salt_api: str) -> None:
    """Run until stdin ends."""
    logging.disable(logging.WARNING)
    settings = Settings(home=folder / "home", site=folder / "site", building_at_once=CAP)  # type: ignore[call-arg]
    salt = SaltApi(salt_api, settings.salt_api_user, lambda: (folder / "password").read_text())
    salt.start()
    with bootstrap.running(settings, salt) as brinepool:
        server = Server(create_app(brinepool.world, brinepool.chats), "127.0.0.1", 0, settings.threads)
        ending = threading.Event()
        serving = threading.Thread(target=server.run, args=(ending,))
        serving.start()
        print(server.port, flush=True)
        process = psutil.Process()
        for _ in sys.stdin:
            print(salt.hub.seq, process.memory_info().rss, flush=True)
        ending.set()
        serving.join()
    salt.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
