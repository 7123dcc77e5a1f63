"""`make bench`: our HTTP round trip beside what people do today, in one run, as ratios.

Starts the service as `make serve` does on a free port with an empty data folder, so that every answer is worked for:
large files get one changed weight byte before each upload, small ones a new date, specs a new name; no stored result
can answer. Prints Markdown; `docs/performance.md` holds a run of it.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import io
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import urllib3

from tests.bench.sizes import large_table, sizes_table
from tests.bench.statistics import large_file, statistics_table
from tests.corpus import CACHE, ROOT, interpreter

SAMPLES = ROOT / "docs" / "samples"
LARGE = (
    ("ResNet50 .keras", "keras", "resnet50.keras"),
    ("ResNet50 .h5", "keras", "resnet50.h5"),
    ("VGG16 .keras", "keras", "vgg16.keras"),
    ("ResNet50 module .pt", "torch", "resnet50_module.pt"),
    ("ResNet50 state_dict .pt", "torch", "resnet50_state_dict.pt"),
)
HUGE_SPEC = {
    "framework": "keras", "name": "huge", "input_shape": [300_000],
    "layers": [{"type": "Dense", "units": 300_000}, {"type": "Dense", "units": 33_334}],
}  # fmt: skip
T = TypeVar("T")
HTTP = urllib3.PoolManager(maxsize=64, retries=False, timeout=urllib3.Timeout(120), blocksize=1 << 20)


def run(kind: str, *arguments: str) -> str:
    """Standard output of a script under a framework's interpreter."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([interpreter(kind), *arguments], env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    return done.stdout


def made_files() -> Path:
    """The large files, made once."""
    folder = CACHE.parent / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for kind, probe in (("keras", "vgg16.keras"), ("torch", "resnet50_state_dict.pt")):
        if not (folder / probe).exists():
            run(kind, str(ROOT / "tests/bench/files.py"), kind, str(folder))
    return folder


@contextmanager
def service() -> Iterator[str]:
    """The service's address, from start until it is stopped."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as data:
        environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port), "WEIGHBRIDGE_DATA_DIR": data,
                       "WEIGHBRIDGE_LOG_LEVEL": "WARNING"}  # fmt: skip
        command = [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "deploy/gunicorn.conf.py"), "service.wsgi:app"]
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
            try:
                wait_until_ready(f"http://127.0.0.1:{port}")
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def wait_until_ready(address: str) -> None:
    """Until `/readyz` says so; RuntimeError after two minutes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if HTTP.request("GET", f"{address}/readyz").status == 200:
                return
        except urllib3.exceptions.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the service did not become ready")


def post(address: str, body: bytes, content_type: str, name: str) -> dict[str, Any]:
    """A small upload."""
    return send(address, name, body, {"Content-Type": content_type})


def send(address: str, name: str, body: Any, headers: dict[str, str]) -> dict[str, Any]:
    """The answer to one upload; RuntimeError if it did not succeed or was answered from the store."""
    response = HTTP.request("POST", f"{address}/v1/analyses?wait=60&filename={name}", body=body, headers=headers)
    answer: dict[str, Any] = json.loads(response.data)
    if response.status != 201 or answer.get("cached"):
        raise RuntimeError(f"{response.status} {str(answer)[:500]}")
    return answer


def post_file(address: str, path: Path) -> dict[str, Any]:
    """A large file, streamed."""
    with path.open("rb") as file:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        response = HTTP.request(
            "POST", f"{address}/v1/analyses?wait=60&filename={path.name}", body=file, headers=headers
        )
    answer: dict[str, Any] = json.loads(response.data)
    if response.status != 201 or answer.get("cached"):
        raise RuntimeError(f"{response.status} {str(answer)[:500]}")
    return answer


def touch_weight(path: Path) -> None:
    """Changes one byte in the middle of the file, where there are only weights: new content, same structure."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([(byte + 1) % 256]))


def timed(work: Callable[..., T], *arguments: object) -> tuple[float, T]:
    """Seconds that a call takes, and its result."""
    started = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - started, result


def large_files(address: str, folder: Path, rounds: int) -> Iterator[str]:
    """The table of large files."""
    yield "| file | MB | Weighbridge (s) | fresh process (s) | ratio | warm process (s) | ratio | worker peak (MB) |"
    yield "|---|---|---|---|---|---|---|---|"
    for title, framework, name in LARGE:
        path = folder / name
        ours, peak = ours_for(address, path, rounds)
        today = (run, framework, str(ROOT / "tests/bench/today.py"), framework, str(path))
        fresh = statistics.median(timed(*today, "0")[0] for _ in range(rounds))
        warm = statistics.median(float(line) for line in run(*today[1:], str(rounds)).split())
        size = path.stat().st_size / 1e6
        figures = f"{ours:.3f} | {fresh:.2f} | {fresh / ours:.1f} | {warm:.2f} | {warm / ours:.1f} | {peak / 1e6:.0f}"
        yield f"| {title} | {size:.0f} | {figures} |"


def ours_for(address: str, path: Path, rounds: int) -> tuple[float, int]:
    """Median seconds of a round trip, and the largest peak memory of a worker."""
    seconds, peak = [], 0
    copy = path.with_name(f"changed_{path.name}")
    shutil.copyfile(path, copy)
    for _ in range(rounds):
        touch_weight(copy)
        os.sync()  # what the copy and the last round left to the disk is not part of this round
        taken, answer = timed(post_file, address, copy)
        seconds.append(taken)
        peak = max(peak, answer["report"]["provenance"]["peak_memory_bytes"] or 0)
    copy.unlink()
    return statistics.median(seconds), peak


def small_files(count: int) -> list[bytes]:
    """Copies of the sample `.keras`, each with another date: same work, other content."""
    source = zipfile.ZipFile(SAMPLES / "digits.keras")
    copies = []
    for number in range(count):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                if name == "metadata.json":
                    data = json.dumps({**json.loads(data), "date_saved": f"bench {time.time_ns()} {number}"}).encode()
                target.writestr(name, data)
        copies.append(out.getvalue())
    return copies


def small_specs(count: int) -> list[bytes]:
    """Copies of the sample spec, each with another name."""
    spec = json.loads((SAMPLES / "spec_keras.json").read_text())
    return [json.dumps({**spec, "name": f"bench_{time.time_ns()}_{number}"}).encode() for number in range(count)]


def load(address: str, bodies: list[bytes], content_type: str, clients: int) -> tuple[float, float, float]:
    """p50 and p99 in milliseconds, and analyses per second."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        started = time.perf_counter()
        seconds = sorted(pool.map(lambda body: timed(post, address, body, content_type, "small")[0], bodies))
        whole = time.perf_counter() - started
    return 1000 * statistics.median(seconds), 1000 * seconds[int(len(seconds) * 0.99)], len(bodies) / whole


def small_loads(address: str, count: int) -> Iterator[str]:
    """The table of small files and specs at 1, 8 and 32 clients."""
    yield "| what | clients | p50 (ms) | p99 (ms) | analyses per second |"
    yield "|---|---|---|---|---|"
    makers = (
        ("small .keras", small_files, "application/octet-stream"),
        ("small Keras spec", small_specs, "application/json"),
    )
    for title, make, content_type in makers:
        load(address, make(8), content_type, 1)
        for clients in (1, 8, 32):
            p50, p99, rate = load(address, make(count), content_type, clients)
            yield f"| {title} | {clients} | {p50:.1f} | {p99:.1f} | {rate:.0f} |"


def huge_spec(address: str) -> str:
    """A spec with about 10^11 parameters."""
    seconds, answer = timed(post, address, json.dumps(HUGE_SPEC).encode(), "application/json", "huge")
    peak = answer["report"]["provenance"]["peak_memory_bytes"]
    parameters = answer["report"]["totals"]["parameters"]
    return f"A spec with {parameters:,} parameters: {seconds:.2f} s, worker peak {peak / 1e6:.0f} MB."


def main() -> None:
    """Everything, as Markdown on standard output."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--count", type=int, default=200)
    chosen = options.parse_args()
    folder = made_files()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    print(f"{machine}, Python {platform.python_version()}\n")
    with service() as address:
        for line in small_loads(address, chosen.count):
            print(line, flush=True)
        print(f"\n{huge_spec(address)}\n", flush=True)
        for line in large_files(address, folder, chosen.rounds):
            print(line, flush=True)
        print()
        for line in sizes_table(lambda path: post_file(address, path), chosen.rounds):
            print(line, flush=True)
    print()
    for line in large_table(chosen.rounds):
        print(line, flush=True)
    print(f"\n{large_file(4)}\n", flush=True)
    for line in statistics_table(chosen.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
