"""Work that is done later, by few threads, and refused when too much of it waits."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)


class Backlog:
    """At most `waiting` pieces of work wait for one of `threads` threads. Threads start with the first piece."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + waiting)

    def take(self, work: Callable[[], None]) -> bool:
        """Have it done soon; returns at once. → False when too much waits, or after `stop`: it is not done then."""
        if not self._places.acquire(blocking=False):
            return False
        try:
            self._pool.submit(self._do, work)
        except RuntimeError:  # stopped
            self._places.release()
            return False
        return True

    def stop(self) -> None:
        """Let what is being done come to its end; what waits is not done any more. Safe to repeat."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # a mistake of ours must not end silently in a future that nobody looks at
            log.exception("work for a chat service failed")
        finally:
            self._places.release()
