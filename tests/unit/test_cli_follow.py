"""Following an operation: through a restart of the server, on a terminal, in a pipe, and until somebody leaves."""

import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli import follow as following
from orchestrator.cli.client import Client
from orchestrator.cli.follow import Interruption, follow
from orchestrator.cli.progress import Board, Lines
from orchestrator.commands.views import OperationView, ProgressView
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.lifecycle import OperationState
from tests.unit.doors import BROKEN, TOKEN, Stage, free_port, hears_an_interrupt, served

BRINE = Path(sys.prefix) / "bin" / "brine"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path, threads=4)
    made.play = made.begin
    return made


def start(stage: Stage) -> str:
    """An operation that has begun and waits for the test to end it."""
    from orchestrator.commands import environments
    from tests.programs import ALICE, shop

    environments.create(stage.world, ALICE, shop("cart"))
    return stage.started[0].id


def test_a_restart_of_the_server_loses_and_repeats_nothing(stage: Stage) -> None:
    operation, port = start(stage), free_port()
    items: list[object] = []
    half, lost = threading.Event(), threading.Event()

    def watch() -> None:
        for item in follow(Client(f"http://127.0.0.1:{port}", TOKEN), operation):
            items.append(item)
            (lost if isinstance(item, Interruption) else half).set()

    watcher = threading.Thread(target=watch, daemon=True)
    with served(stage.world, port):
        watcher.start()
        assert half.wait(10)
    assert lost.wait(10)
    stage.finish(stage.started[0])
    with served(stage.world, port):
        watcher.join(10)
    assert not watcher.is_alive()
    seen = [item.seq for item in items if isinstance(item, ProgressView)]
    with stage.world.store.transaction() as ledger:
        written = [event.seq for event in ledger.events(None, operation, 0, 100) if event.kind != "state.ended"]
    assert seen == written
    assert isinstance(items[-1], OperationView)
    assert items[-1].state is OperationState.SUCCEEDED


def test_who_finds_no_free_stream_still_learns_of_the_end(stage: Stage) -> None:
    operation = start(stage)
    with served(stage.world) as url:
        held = [Client(url, TOKEN).stream(f"/api/v1/operations/{operation}/events", 0) for _ in range(3)]
        for stream in held:
            next(stream)
        items: Iterator[object] = follow(Client(url, TOKEN), operation)
        first = next(items)
        assert isinstance(first, Interruption)
        assert "progress streams are open already" in first.sentence
        with stage.world.store.transaction() as ledger:  # quietly, so that the held streams stay
            ledger.move_operation(operation, OperationState.FAILED, BROKEN)
        last = list(items)[-1]
        assert isinstance(last, OperationView)
        assert last.state is OperationState.FAILED


def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PATIENCE_S", 0.5)
    monkeypatch.setattr(following, "PAUSE_S", 0.1)
    items: list[object] = []
    nobody = follow(Client(f"http://127.0.0.1:{free_port()}", TOKEN), "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    with pytest.raises(Unavailable, match="does not answer"):
        items.extend(nobody)
    assert all(isinstance(item, Interruption) for item in items)
    assert len(items) >= 2


def test_leaving_says_how_to_go_on_and_stops_nothing(stage: Stage) -> None:
    with served(stage.world) as url:
        environment = {**os.environ, "BRINE_URL": url, "BRINE_TOKEN": TOKEN}
        brine = subprocess.Popen(
            [BRINE, "env", "create", "shop", "cart"], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hears_an_interrupt,
        )  # fmt: skip
        assert brine.stdout is not None
        while "configuring: build (3/6)" not in brine.stdout.readline():
            pass
        brine.send_signal(signal.SIGINT)
        _, err = brine.communicate(timeout=10)
        assert brine.returncode == 130
        assert "Watch it with: brine env show cart --follow" in err
        assert "Traceback" not in err
        with stage.world.store.transaction() as ledger:
            found = ledger.operation(stage.started[0].id)
        assert found is not None
        assert found.state is OperationState.RUNNING


def test_a_reader_that_has_seen_enough_is_no_error(stage: Stage) -> None:
    start(stage)
    with served(stage.world) as url:
        environment = {**os.environ, "BRINE_URL": url, "BRINE_TOKEN": TOKEN}
        brine = subprocess.Popen(
            [BRINE, "env", "events", "cart"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert brine.stdout is not None
        brine.stdout.close()
        assert brine.stderr is not None
        assert brine.stderr.read() == b""
        brine.wait(10)


def step(seq: int, server: str | None, phase: str, state: str | None = None, n: int | None = None) -> ProgressView:
    return ProgressView.model_validate(
        {
            "seq": seq, "at": "2026-11-23T10:00:00Z", "server": server, "phase": phase, "state": state, "n": n,
            "of": 6 if n else None, "elapsed_s": seq / 10,
        }
    )  # fmt: skip


STORY = [
    step(1, None, "started"), step(2, "cart-api-1", "booting"), step(3, "cart-api-1", "booting"),
    step(4, "cart-api-1", "configuring", "build\x1b[31m", 3), step(5, "cart-web-1", "failed"),
    step(6, "cart-api-1", "ready"),
]  # fmt: skip


def test_in_a_pipe_each_change_is_one_plain_line() -> None:
    out = io.StringIO()
    with Lines(Console(file=out, markup=False, highlight=False, width=1000)) as lines:
        for each in STORY:
            lines.step(each)
        for _ in range(3):
            lines.notice("Brinepool does not answer.")
    assert out.getvalue().splitlines() == [
        "    0.1 s  operation  started",
        "    0.2 s  cart-api-1  booting",
        "    0.4 s  cart-api-1  configuring: build[31m (3/6)",
        "    0.5 s  cart-web-1  failed",
        "    0.6 s  cart-api-1  ready",
        "Brinepool does not answer. Trying again.",
    ]


def test_on_a_terminal_each_server_has_a_row() -> None:
    out = io.StringIO()
    with Board(Console(file=out, force_terminal=True, width=100, color_system=None)) as board:
        for each in STORY[:4]:
            board.step(each)
        board._live.refresh()
        assert "build[31m 3/6" in out.getvalue()
        for each in STORY[4:]:
            board.step(each)
        board.notice("The connection to Brinepool broke off.")
    last = out.getvalue().splitlines()[-4:]
    assert any("✔" in line and "cart-api-1" in line and "ready" in line for line in last)
    assert any("✘" in line and "cart-web-1" in line and "failed" in line for line in last)
    assert any("broke off. Trying again" in line for line in last)
