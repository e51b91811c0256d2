"""Progress as server-sent events: resumable, capped, and ended by the server's own end."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sseclient import Event, SSEClient

from tests.unit.doors import BROKEN, TOKEN, Stage, served

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path, threads=4)
    made.play = made.begin
    return made


@pytest.fixture
def url(stage: Stage) -> Iterator[str]:
    with served(stage.world) as found:
        yield found


def start(url: str) -> str:
    answer = requests.post(f"{url}/api/v1/environments", json={"template": "shop"}, headers=HEADERS, timeout=5)
    return str(answer.json()["operation"]["id"])


def open_stream(url: str, operation: str, **headers: str) -> requests.Response:
    return requests.get(
        f"{url}/api/v1/operations/{operation}/events", headers=HEADERS | headers, stream=True, timeout=10
    )


def read(answer: requests.Response) -> list[Event]:
    return list(SSEClient(answer.iter_content(None)).events())


def take(answer: requests.Response, count: int) -> list[Event]:
    events = SSEClient(answer.iter_content(None)).events()
    return [next(events) for _ in range(count)]


def data(events: list[Event]) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in events]


def test_progress_arrives_while_it_happens_and_the_end_says_how(stage: Stage, url: str) -> None:
    operation = start(url)
    answer = open_stream(url, operation)
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    events = SSEClient(answer.iter_content(None)).events()
    seen = [next(events) for _ in range(8)]  # arrives although the operation goes on
    assert [event.id for event in seen] == [str(step["seq"]) for step in data(seen)]
    assert set(data(seen)[0]) == {"seq", "at", "server", "phase", "state", "n", "of", "elapsed_s"}
    assert {"server": "n", "state": "build", "n": 3, "of": 6}.items() >= {"state": data(seen)[-1]["state"]}.items()
    stage.failure = BROKEN
    stage.finish(stage.started[0])
    rest = list(events)
    assert rest[-1].event == "end"
    assert (json.loads(rest[-1].data)["state"], json.loads(rest[-1].data)["failure"]["code"]) == (
        "failed", "state-failed",
    )  # fmt: skip


def test_a_stream_is_resumed_where_it_broke_off(stage: Stage, url: str) -> None:
    operation = start(url)
    seen = take(open_stream(url, operation), 4)
    stage.finish(stage.started[0])
    whole = read(open_stream(url, operation))
    rest = read(open_stream(url, operation, **{"Last-Event-ID": str(seen[-1].id)}))
    assert [event.id for event in seen + rest] == [event.id for event in whole]
    by_query = requests.get(
        f"{url}/api/v1/operations/{operation}/events?after={seen[-1].id}", headers=HEADERS, timeout=5
    )
    assert by_query.content == requests.get(
        f"{url}/api/v1/operations/{operation}/events?after=0",
        headers=HEADERS | {"Last-Event-ID": str(seen[-1].id)}, timeout=5,
    ).content  # fmt: skip


def test_an_operation_that_is_not_there(url: str) -> None:
    answer = open_stream(url, "01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (answer.status_code, answer.json()["code"]) == (404, "operation-unknown")


def test_streams_are_capped_and_short_requests_still_answer(stage: Stage, url: str) -> None:
    operation = start(url)
    streams = [open_stream(url, operation) for _ in range(3)]  # three quarters of four threads
    refused = open_stream(url, operation)
    assert (refused.status_code, refused.json()["code"]) == (503, "too-many-streams")
    assert requests.get(f"{url}/api/v1/operations", headers=HEADERS, timeout=5).status_code == 200
    streams[0].close()
    assert _eventually_opens(url, operation)


def test_a_client_that_hung_up_is_noticed_while_others_work(stage: Stage, url: str) -> None:
    operation, done = start(url), threading.Event()

    def work() -> None:
        while not done.wait(0.02):
            stage.world.hub.notify()

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    streams = [open_stream(url, operation) for _ in range(3)]
    for stream in streams:
        stream.close()
    assert _eventually_opens(url, operation)
    done.set()
    worker.join()


def test_a_head_request_takes_no_place(stage: Stage, url: str) -> None:
    operation = start(url)
    for _ in range(5):
        answer = requests.head(f"{url}/api/v1/operations/{operation}/events", headers=HEADERS, timeout=5)
        assert answer.status_code == 200


def test_streams_end_with_the_server(stage: Stage) -> None:
    ended = threading.Event()
    with served(stage.world) as url:
        answer = open_stream(url, start(url))

        def drain() -> None:
            with contextlib.suppress(requests.RequestException):
                read(answer)
            ended.set()

        threading.Thread(target=drain, daemon=True).start()
    assert ended.wait(5)


def _eventually_opens(url: str, operation: str) -> bool:
    """A client that hung up is noticed within about a second."""
    deadline = threading.Event()
    timer = threading.Timer(5, deadline.set)
    timer.start()
    try:
        while not deadline.is_set():
            if open_stream(url, operation).status_code == 200:
                return True
            deadline.wait(0.1)
        return False
    finally:
        timer.cancel()
