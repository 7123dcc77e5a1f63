"""The whole service under gunicorn on a port of its own, with its real sandbox, and small models to send it."""

from __future__ import annotations

import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import urllib3

from tests.fakes import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 60.0


class Service:
    """A running service: `ask` talks HTTP, `raw` is a bare connection."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.port = int(settings.get("PORT") or free_port())
        self.data_dir = data_dir
        self.output: list[str] = []
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WEIGHBRIDGE_LIMIT")},
            "HOST": "127.0.0.1", "PORT": str(self.port), "WEIGHBRIDGE_DATA_DIR": str(data_dir),
            "WEIGHBRIDGE_WARM_FRAMEWORKS": "0", "WEIGHBRIDGE_MIN_FREE_DISK_BYTES": "0", **settings,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [settings.get("PYTHON", sys.executable), "-m", "service.cli", "serve"], cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.pool = urllib3.HTTPConnectionPool("127.0.0.1", self.port, maxsize=40, retries=False, timeout=90)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.output.extend(self.process.stdout)

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Until it says so itself."""
        line = f"Weighbridge is ready on http://127.0.0.1:{self.port}\n"
        wait_for(lambda: line in self.output or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, "".join(self.output)

    def ask(self, method: str, path: str, **more):
        """A response, read."""
        return self.pool.request(method, path, **more)

    def raw(self, *pieces: bytes) -> socket.socket:
        """A connection on which `pieces` were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def left_behind(self) -> list[Path]:
        """Unfinished uploads on disk."""
        return list((self.data_dir / "blobs" / "tmp").iterdir())

    def workers(self) -> list[int]:
        """Process ids of the web workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if b"gunicorn" in _command_line(pid)]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(60)
        self._reader.join(10)
        return status

    def kill(self) -> None:
        """Kill the master, and wait for the web workers, which notice it and end."""
        workers = [os.pidfd_open(pid) for pid in self.workers()]
        self.stop(signal.SIGKILL)
        for worker in workers:
            ended, _, _ = select.select([worker], [], [], 60)
            os.close(worker)
            assert ended


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _command_line(pid: str) -> bytes:
    """What the process was started as; nothing if it is gone by now."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what comes on a bare connection until its end; status 0 if nothing does."""
    data = b""
    try:
        while piece := connection.recv(65536):
            data += piece
    except ConnectionResetError:
        pass
    finally:
        connection.close()
    if not data:
        return 0, {}, b""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


def running(data_dir: Path, **settings: str) -> Iterator[Service]:
    """A service for as long as a fixture lives."""
    made = Service(data_dir, **settings)
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.stop()


def weights_file(path: Path, units: int = 3) -> bytes:
    """A `.weights.h5` as Keras 3 lays it out: one Dense layer of 4 x `units`."""
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"] = np.ones((4, units), "float32")
        group["1"] = np.zeros((units,), "float32")
    return path.read_bytes()


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """`model(5)` are the bytes of a weights file of 4 x 5 + 5 elements, another for each number."""
    folder = tmp_path_factory.mktemp("models")
    return functools.cache(lambda units: weights_file(folder / f"{units}.weights.h5", units))


@pytest.fixture(scope="session")
def service(tmp_path_factory) -> Iterator[Service]:
    """One for all tests that leave it running."""
    yield from running(tmp_path_factory.mktemp("service") / "data")


@pytest.fixture
def start(tmp_path):
    """`start(**settings)` starts another on this test's own folder; it is ended with the test."""
    started: list[Service] = []

    def do(**settings: str) -> Service:
        started.append(Service(tmp_path / "data", **settings))
        started[-1].wait_until_ready()
        return started[-1]

    yield do
    for made in started:
        made.stop(signal.SIGKILL)


def problem(body: bytes) -> dict:
    """A problem document."""
    return json.loads(body)
