"""What Prometheus is told. In several processes the numbers live in files that `/metrics` adds up."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.jobs.records import STATES, Work

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))
"""Methods that are counted by their name: a client may make up any number of others."""

requests = Counter("weighbridge_requests_total", "Answered requests.", ("method", "route", "status"))
request_seconds = Histogram("weighbridge_request_seconds", "From request to answer.", ("route",), buckets=SECONDS)
uploaded = Counter("weighbridge_uploaded_bytes_total", "Bytes of accepted uploads.")
analyses = Counter("weighbridge_analyses_total", "Attempts at an analysis by how they ended.", ("state", "code"))
analysis_seconds = Histogram("weighbridge_analysis_seconds", "From claim to end.", ("state",), buckets=SECONDS)
comparisons = Counter("weighbridge_comparisons_total", "Attempts at a comparison by how they ended.", ("state", "code"))
comparison_seconds = Histogram("weighbridge_comparison_seconds", "From claim to end.", ("state",), buckets=SECONDS)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer; `route` is the rule, never the path."""
    requests.labels(method if method in METHODS else "other", route, str(status)).inc()
    request_seconds.labels(route).observe(seconds)


def observe_job(work: Work, state: str, code: str, seconds: float) -> None:
    """Count the end of one attempt."""
    compared = work == "compare"
    (comparisons if compared else analyses).labels(state, code).inc()
    (comparison_seconds if compared else analysis_seconds).labels(state).observe(seconds)


class _Now(Collector):
    """Gauges of this moment. prometheus_client's own would leave their values in the files of all processes."""

    def __init__(self, jobs: Mapping[str, int], workers: Mapping[str, bool]) -> None:
        self._jobs = jobs
        self._workers = workers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families."""
        by_state = GaugeMetricFamily("weighbridge_jobs", "Analyses and comparisons by state.", labels=("state",))
        for state in STATES:
            by_state.add_metric((state,), self._jobs.get(state, 0))
        yield by_state
        warm = GaugeMetricFamily(
            "weighbridge_worker_warm", "Whether the warm process of a kind runs.", labels=("kind",)
        )
        for kind, is_warm in self._workers.items():
            warm.add_metric((kind,), is_warm)
        yield warm


def exposition(jobs: Mapping[str, int], workers: Mapping[str, bool]) -> bytes:
    """All numbers of all processes, with the jobs by state and the workers' readiness as they are now."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        processes = b""
    else:
        processes = generate_latest(REGISTRY)
    now = CollectorRegistry()
    now.register(_Now(jobs, workers))
    return processes + generate_latest(registry) + generate_latest(now)
