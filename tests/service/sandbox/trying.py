"""Has tries done in children behind a wall of which layers may be left out, and tells how each ended."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from service import wire
from service.config import Limits, Settings
from service.errors import InputError, WeighbridgeError, WorkerError
from service.formats import BuildRequest
from service.jobs.analysis import Work, analyse
from service.sandbox.client import Outcome, Sandbox
from service.sandbox.launch import running
from service.tree import Confinement
from tests.service.sandbox.tries.base import DONE, RAN, TRIES
from tests.service.sandbox.tries.framed import HEAVY, WITHOUT_END
from tests.service.sandbox.tries.lasting import LAST

FOLDER = Path(__file__).with_name("tries")
LIMITS = Limits(
    seconds=5.0, memory_bytes=96 << 20, build_seconds=5.0, build_memory_bytes=96 << 20, answer_bytes=3 << 20
)
HEAVY_BYTES = 128 << 20
THROUGH = "through"


def impatient(name: str) -> Limits:
    """The limits for one try: those that do not end by themselves are not waited for long."""
    if name in HEAVY:
        return msgspec.structs.replace(LIMITS, answer_bytes=HEAVY_BYTES)
    if TRIES[name].group == LAST or name in WITHOUT_END:
        return msgspec.structs.replace(LIMITS, seconds=0.2, build_seconds=0.2)
    return LIMITS


@contextmanager
def surroundings(folder: Path) -> Iterator[dict[str, object]]:
    """What there is to reach, as `tries.base.Target` describes it: made to be reached, and gone afterwards."""
    upload, database = folder / "upload", folder / "jobs.sqlite"
    upload.write_bytes(b"another's upload")
    with sqlite3.connect(database) as made:
        made.execute("create table jobs (secret text)")
    secret = secrets.token_hex(16)
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        unix, abstract = (stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(2))
        unix.bind(str(folder / "s"))
        abstract.bind(f"\0weighbridge-{secret}")
        for server in (unix, abstract):
            server.listen(1000)
        tcp.listen(1000)
        victim = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", str(FOLDER / "victim.py"), str(upload)],
                env={"SECRET": secret}, stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        stack.callback(victim.kill)
        address, held = map(int, (victim.stdout or sys.stdin).readline().split())
        yield {
            "folder": str(folder), "upload": str(upload), "database": str(database), "own": "", "secret": secret,
            "victim": victim.pid, "address": address, "held": held, "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1], "unix": str(folder / "s"), "abstract": f"weighbridge-{secret}",
        }  # fmt: skip


@contextmanager
def wall(folder: Path, kind: str = "static", without: Iterable[str] = ()) -> Iterator[Sandbox]:
    """A warm process of `kind`, whose children do tries, behind all layers but those left out."""
    settings = Settings(allow_unconfined=True, keras_python=sys.executable)
    arguments = ["--test-module", str(FOLDER / "reader.py")]
    for layer in without:
        arguments += ["--without", layer]
    with running(settings, folder, [kind], worker_arguments=arguments) as sandbox:
        yield sandbox


def outcomes(
    sandbox: Sandbox, names: Sequence[str], target: dict[str, object], kind: str = "static", limits: Limits = LIMITS
) -> dict[str, str]:
    """How each try ended, all of them done in one child: `through: what it got` or `stopped: by what`."""
    order = {"names": names, "target": target}
    path = Path(str(target["folder"])).parent / f"order-{secrets.token_hex(4)}"
    order["target"] = {**target, "own": str(path)}
    request = BuildRequest(kind="keras", dialect="layer_list", spec=order)
    builds = kind == "keras"
    path.write_bytes(wire.encode(request) if builds else json.dumps(order).encode())
    task = wire.Task(work="build" if builds else "read", parts=() if builds else ("order",), limits=limits)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        outcome = sandbox.run(kind, task, [descriptor])
        if outcome.answer.model is None or outcome.answer.model.info.format != DONE:
            analyse(Answered(outcome), Work(parts=(), descriptors=(), limits=limits))  # as the service looks at it
            return dict.fromkeys(names, f"{THROUGH}: an answer that was believed")
    except WeighbridgeError as error:
        return dict.fromkeys(names, _ended(error))
    finally:
        os.close(descriptor)
        path.unlink()
    found = (str(note).partition(": ") for note in outcome.answer.model.notes)
    return {name: rest for name, _, rest in found}


class Answered:
    """A sandbox in which everything has been answered already."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def run(self, *_: object, **__: object) -> Outcome:
        """See `Sandbox.run`."""
        return self._outcome

    def confinement(self, _: str) -> Confinement:
        """See `Sandbox.confinement`."""
        return Confinement(confined=True, layers={})


def _ended(error: WeighbridgeError) -> str:
    """What the wall, or whoever waits for the answer, made of a child that did not answer."""
    extra = error.info.extra
    said = next((extra[key] for key in ("signal", "status", "exception", "limit", "reason") if key in extra), "")
    unexpected = "exception" in extra or extra.get("status") == RAN or not isinstance(error, InputError | WorkerError)
    return f"{THROUGH if unexpected else 'stopped'}: {error.info.code}{f' ({said})' if said else ''}"
