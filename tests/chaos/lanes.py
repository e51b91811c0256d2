"""Rounds side by side: each lane is a process with a world of its own. They mostly wait, so they share a processor."""

import multiprocessing
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.chaos.drive import Outcome, World, carry_out
from tests.chaos.plan import FAKE, plan_round
from tests.chaos.zygote import die_with_parent


def fake_rounds(
    seed: int,
    numbers: Sequence[int],
    lanes: int,
    until: float,
    mutation: str = "",
    keep: Path | None = None,
    enough: Callable[[], bool] = lambda: True,
) -> Iterator[Outcome | str]:
    """Carry out these rounds on fake worlds; a text is what broke a lane.

    No new round begins after `until`, if `enough` says so, once a mutation was noticed, or when nobody asks for more.
    """
    context = multiprocessing.get_context("spawn")
    outcomes: Queue[Outcome | str | None] = context.Queue()
    stop = context.Event()
    processes = [
        context.Process(target=_lane, args=(seed, list(numbers[lane::lanes]), mutation, keep, outcomes, stop))
        for lane in range(min(lanes, len(numbers)))
    ]
    for process in processes:
        process.start()
    left = len(processes)
    try:
        while left:
            if (outcome := outcomes.get()) is None:
                left -= 1
            else:
                yield outcome
                violated = not isinstance(outcome, str) and outcome.violations
                if (time.time() > until and enough()) or (mutation and violated):
                    stop.set()  # what a mutation left over would be found again and again
    finally:
        stop.set()
        for process in processes:
            process.join()


def _lane(
    seed: int,
    numbers: list[int],
    mutation: str,
    keep: Path | None,
    outcomes: "Queue[Outcome | str | None]",
    stop: Event,
) -> None:
    from tests.chaos import mutations
    from tests.chaos.fakeworld import FakeWorld

    die_with_parent()
    mutations.apply_on_master(mutation)
    folder = Path(tempfile.mkdtemp(prefix="brine-chaos-", dir=keep))
    try:
        world: World = FakeWorld(folder, mutation)
        try:
            world.begin()
            for number in numbers:
                if stop.is_set():
                    break
                outcomes.put(carry_out(world, plan_round(seed, number, FAKE)))
        finally:
            world.close()
    except Exception:  # noqa: BLE001  (whatever it is, the other side is told)
        outcomes.put(traceback.format_exc())
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
        outcomes.put(None)
