"""`/metrics` for Prometheus: what exists now, read when it is asked for, and how long requests took."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.commands import World, environments, operations, servers


class Inventory(Collector):
    """Gauges that are counted from the database at the moment of the scrape, so that they cannot drift."""

    def __init__(self, world: World) -> None:
        self._world = world

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing beforehand: registering must not read the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        world = self._world
        yield _gauge(
            "brinepool_environments", "Environments that have not ended.", ("status",),
            ((each.status,) for each in environments.list_all(world)),
        )  # fmt: skip
        yield _gauge(
            "brinepool_servers", "Servers of environments that have not ended.", ("status",),
            ((each.status,) for each in servers.list_all(world)),
        )  # fmt: skip
        yield _gauge(
            "brinepool_operations_active", "Operations that have not ended.", ("kind", "state"),
            ((each.kind, each.state) for each in operations.list_all(world, active=True, limit=1000)),
        )  # fmt: skip


def install(app: Flask, world: World) -> None:
    """Measure every request, and answer at `/metrics` (a token is needed there as well)."""
    registry = CollectorRegistry()
    registry.register(Inventory(world))
    seconds = Histogram(
        "brinepool_http_request_seconds", "How long requests took, streams until their first byte.",
        ("method", "route", "status"), registry=registry,
    )  # fmt: skip

    @app.before_request
    def start() -> None:
        g.started = time.monotonic()

    @app.after_request
    def stop(response: Response) -> Response:
        # The route, not the path: a label must not grow with what people ask for.
        route = request.url_rule.rule if request.url_rule else "none"
        seconds.labels(request.method, route, response.status_code).observe(time.monotonic() - g.started)
        return response

    page = Blueprint("metrics", __name__)

    @page.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    app.register_blueprint(page)


def _gauge(name: str, what: str, labels: tuple[str, ...], found: Iterable[tuple[str, ...]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=labels)
    for values, count in sorted(Counter(found).items()):
        family.add_metric(values, count)
    return family
