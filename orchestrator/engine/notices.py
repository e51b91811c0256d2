"""Telling people: every notice is a durable workflow of its own, one after the other in each chat service.

The events are the truth, and a cursor says up to which one notices were made of them. A notice's workflow id is made of
the event's number and the destination, so that one made twice, after a crash or by two processes, is the same. One at a
time in each service keeps their order, also while the service is down: then the first one waits, and the others behind.
"""

import logging
import threading
from collections.abc import Callable

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

from orchestrator.domain.environment import Event
from orchestrator.domain.notices import Destination, Notice, destinations, notice_of
from orchestrator.ports import Ledger

from .runtime import current, remote
from .sights import STUCK

log = logging.getLogger(__name__)

CURSOR = "notices"
PAGE = 500
ATTEMPTS = 10_000  # a week of a service that stays away
POLL_S = 0.2  # a notice waits this long for the one before it to be noticed as done
IDLE_S = 1.0  # for what another process wrote; the hub tells at once what this one did


@DBOS.workflow(name="tell")
def tell(seq: int, destination: str) -> None:
    """One notice, to one place. Waits as long as the service wants, and gives up after a week."""
    until_told(lambda: remote(_told, seq, destination))


def until_told(attempt: Callable[[], float | None]) -> None:
    """Call it until it returns None; else it says after how many seconds again. Gives up after a week.

    The pause need not be durable: after a crash it is simply tried again.
    """
    with current().at_work:
        for _ in range(ATTEMPTS):
            again = attempt()
            if again is None:
                return
            current().stopping.wait(again)
        log.error("something could not be told for a week, and was given up")


def quietly(tell: Callable[[], float | None]) -> float | None:
    """What `tell` returns. After a surprise it is not tried again: it would block everything behind it."""
    try:
        return tell()
    except Exception:
        log.exception("something could not be told")
        return None


def _told(seq: int, destination: str) -> float | None:
    return quietly(lambda: current().chats.tell(seq, Destination.parse(destination)))


def start_notices() -> Callable[[], None]:
    """Make notices of what happens from now on, until the function that is returned is called."""
    for service in current().chats.services:
        DBOS.register_queue(queue(service), global_concurrency=1, polling_interval_sec=POLL_S)
    with current().store.transaction() as ledger:
        after = ledger.chat.cursor(CURSOR)
        if after is None:
            after = ledger.newest_seq()
            ledger.chat.move_cursor(CURSOR, after)
    ending = threading.Event()
    thread = threading.Thread(target=_watch, args=(after, ending), name="notices", daemon=True)
    thread.start()

    def stop() -> None:
        ending.set()
        current().hub.notify()
        thread.join(5.0)

    return stop


def _watch(after: int, ending: threading.Event) -> None:
    hub = current().hub
    while not ending.is_set():
        seen = hub.count
        try:
            last = dispatch(after)
            if last > after:
                after = last
                continue
        except Exception:
            if ending.is_set():
                return
            log.exception("notices could not be made; trying again")
        hub.wait(seen, IDLE_S)


def dispatch(after: int) -> int:
    """Make the notices of the events behind `after`. → the number of the last of them.

    The cursor moves when something was told, and now and then: most events are progress, which nobody is told, and a
    notice that is made twice after a crash is the same one.
    """
    store = current().store
    with store.transaction() as ledger:
        events = ledger.events(None, None, after, PAGE)
        wanted = [(event.seq, where) for event in events for where in _destinations(ledger, event)]
        written = ledger.chat.cursor(CURSOR) or 0
    last = events[-1].seq if events else after
    for seq, destination in wanted:
        with SetWorkflowID(f"tell/{seq}/{destination}"), SetEnqueueOptions(priority=seq):
            DBOS.enqueue_workflow(queue(destination.service), tell, seq, str(destination))
    if wanted or last - written >= PAGE:
        with store.transaction() as ledger:
            if last > (ledger.chat.cursor(CURSOR) or 0):  # another process may be further
                ledger.chat.move_cursor(CURSOR, last)
    return last


def _destinations(ledger: Ledger, event: Event) -> list[Destination]:
    operation = ledger.operation(event.operation) if event.operation else None
    notice = notice_of(event, operation)
    if notice is None or (notice is Notice.FAILED and operation and operation.request.get("cause") == STUCK):
        return []  # that it cannot be removed was told when it was tried first, and is told in every nightly report
    environment = (
        ledger.environment_by_id(operation.environment) if operation else ledger.environment(event.environment)
    )
    if environment is None:
        return []
    chats = current().chats
    if notice is Notice.EXPIRING:  # the owner hears of it, whatever else they want to hear
        directly = list(chats.accounts(environment.owner, always=True))
    else:
        people = {environment.owner, operation.actor.person if operation else event.actor}
        directly = [account for person in sorted(people) for account in chats.accounts(person)]
    template = current().templates.current().templates.get(environment.template)
    asked_in = operation.actor.room if operation else None
    return destinations(notice, environment, template, asked_in, directly, chats.services)


def queue(service: str) -> str:
    """The queue in which a service's notices wait, one after the other."""
    return f"notices-{service}"
