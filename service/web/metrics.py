"""What Prometheus is told. In several processes the numbers live in files that `/metrics` adds up."""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

requests = Counter("weighbridge_requests_total", "Answered requests.", ("method", "route", "status"))
request_seconds = Histogram("weighbridge_request_seconds", "From request to answer.", ("route",), buckets=SECONDS)
uploaded = Counter("weighbridge_uploaded_bytes_total", "Bytes of accepted uploads.")
analyses = Counter("weighbridge_analyses_total", "Analyses by how they ended.", ("state", "code"))
analysis_seconds = Histogram("weighbridge_analysis_seconds", "From claim to end.", ("state",), buckets=SECONDS)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer; `route` is the rule, never the path."""
    requests.labels(method, route, str(status)).inc()
    request_seconds.labels(route).observe(seconds)


def observe_analysis(state: str, code: str, seconds: float) -> None:
    """Count the end of one attempt."""
    analyses.labels(state, code).inc()
    analysis_seconds.labels(state).observe(seconds)


def exposition(jobs: dict[str, int], workers: dict[str, bool]) -> bytes:
    """All numbers of all processes, with the jobs by state and the workers' readiness as they are now."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        processes = b""
    else:
        processes = generate_latest(REGISTRY)
    now = CollectorRegistry()
    by_state = Gauge("weighbridge_jobs", "Analyses in the table by state.", ("state",), registry=now)
    warm = Gauge("weighbridge_worker_warm", "Whether the warm process of a kind runs.", ("kind",), registry=now)
    for state, count in jobs.items():
        by_state.labels(state).set(count)
    for kind, is_warm in workers.items():
        warm.labels(kind).set(is_warm)
    return processes + generate_latest(registry) + generate_latest(now)
