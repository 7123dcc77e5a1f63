"""`python -m tests.torture.escapes_missing`: kernels that lack what a layer of the wall needs, one after the other.

On each the service is started twice: as it comes, which must refuse in a sentence that names the layer, and with
`WEIGHBRIDGE_ALLOW_UNCONFINED=1`, after which `/readyz`, asked over HTTP, and every report must say what is missing.
Prints the table of docs/reliability.md; the first row is the self-test where nothing is missing. Status 1 if a row is
not as promised.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from service.worker.confine import LAYERS
from service.worker.rehearsal import FILES
from service.worker.selftest import PROBES
from tests.fakes import wait_for
from tests.http.conftest import Service
from tests.service.sandbox.without_call import python_without

MISSING = {
    "seccomp": {"refusals", "seccomp"},
    "close_range": {"descriptors"},
    "setsid": {"session"},
    "capset": {"privileges"},
    "prctl:0=4": {"undumpable"},
    "landlock_create_ruleset": {"landlock"},
    "prlimit64": {"limits"},
}
"""What a kernel lacks, and the layers that cannot stand there; each call is made for these alone. Without those of
parent_death and oom_first not even the warm process starts: these two are left out by `tests.torture.escapes` only."""
MODEL = (FILES / "tiny_state_dict.pt").read_bytes()
_SECONDS = 60.0


class Row(NamedTuple):
    """One line of the table, and whether it is as promised."""

    line: str
    held: bool


@contextmanager
def served(folder: Path, missing: str | None, **settings: str) -> Iterator[Service]:
    """The service on such a kernel, once it is ready or has ended."""
    folder.mkdir()
    if missing is not None:
        settings["WEIGHBRIDGE_STATIC_PYTHON"] = str(python_without(folder, missing))
    service = Service(folder / "data", **settings)
    try:
        line = f"Weighbridge is ready on http://127.0.0.1:{service.port}\n"
        wait_for(lambda: line in service.output or service.process.poll() is not None, _SECONDS)
        yield service
    finally:
        service.stop()


def ready(service: Service) -> tuple[int, dict[str, Any]]:
    """What `/readyz` says of the worker that reads uploads."""
    told = service.ask("GET", "/readyz")
    return told.status, json.loads(told.data)["workers"]["static"]


def whole(folder: Path) -> Row:
    """Nothing is missing: every probe is stopped, every layer stands, and `/readyz` says so."""
    with served(folder / "whole", None) as service:
        status, worker = ready(service)
    stopped, layers = sum(worker["selftest"].values()), sum(worker["layers"].values())
    said = f"self-test {stopped} of {len(PROBES)} stopped, {layers} of {len(LAYERS)} layers stand"
    held = status == 200 and worker["confined"] and (stopped, layers) == (len(PROBES), len(LAYERS))
    return Row(f"| nothing | starts | {status}, confined: {said} | {said.partition(',')[0]} |", bool(held))


def without(folder: Path, call: str, layers: set[str]) -> Row:
    """A kernel that lacks a call: what is said at a strict start, and by a service that may go on."""
    name = call.partition(":")[0]
    with served(folder / f"strict-{name}", call) as service:
        status = service.process.poll()
        said = "".join(service.output)
    refused = bool(status) and f"layers missing: {', '.join(one for one in LAYERS if one in layers)};" in said
    with served(folder / f"allowed-{name}", call, WEIGHBRIDGE_ALLOW_UNCONFINED="1") as service:
        code, worker = ready(service)
        made = service.ask("POST", "/v1/analyses?wait=30&filename=a.pt", body=MODEL)
        report = json.loads(service.ask("GET", json.loads(made.data)["links"]["report"]).data)
    told = {layer for layer, stands in worker["layers"].items() if not stands}
    confinement = report["provenance"]["confinement"]
    kept = {layer for layer, stands in confinement["layers"].items() if not stands}
    through = [probe for probe, stopped in worker["selftest"].items() if not stopped]
    held = refused and code == 200 and told == kept == layers and not worker["confined"] | confinement["confined"]
    names = ", ".join(sorted(layers))
    strict = f"refused, status {status}" if refused else f"NOT refused: {said[-300:]}"
    listed = f"{code}, not confined: {', '.join(sorted(told))}; so do reports" if held else f"{code}: {told}, {kept}"
    return Row(f"| {names} | {strict} | {listed} | {', '.join(through) or 'all stopped'} |", bool(held))


def main() -> int:
    """Print the table."""
    print("| cannot stand | strict start | `/readyz` where it may go on | self-test: not stopped |")
    print("| --- | --- | --- | --- |", flush=True)
    held = True
    with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder:
        print((row := whole(Path(folder))).line, flush=True)
        held &= row.held
        for call, layers in MISSING.items():
            print((row := without(Path(folder), call, layers)).line, flush=True)
            held &= row.held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
