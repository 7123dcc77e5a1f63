"""What is read only when asked for: statistics, rules and comparisons of values, and what becomes of them meanwhile.

A stopped `values` process (SIGSTOP) keeps a job running for as long as a test needs it, however fast the machine is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from schemas.analysis import AnalysisSchema
from schemas.comparison import ComparisonJobSchema
from tests.http.conftest import Service

RAW = {"Content-Type": "application/octet-stream"}
VALUE_RULES = {
    "bad_variance", "batch_norm_never_trained", "constant_weights", "duplicate_weights", "huge_values",
    "non_finite_values", "tiny_gamma", "zero_weights",
}  # fmt: skip


def weights(path: Path, kernel: np.ndarray, norm: dict[str, np.ndarray] | None = None) -> bytes:
    """A `.weights.h5` of a Dense layer and, where given, a BatchNormalization."""
    with h5py.File(path, "w") as file:
        dense = file.create_group("layers/dense/vars")
        dense["0"], dense["1"] = kernel, np.arange(kernel.shape[1], dtype="float32")
        for at, values in enumerate((norm or {}).values()):
            file[f"layers/batch_normalization/vars/{at}"] = values
    return path.read_bytes()


class Files:
    """Files that no test has sent before, so that nothing is answered from the store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._random = np.random.default_rng(3)

    def kernel(self) -> np.ndarray:
        """Another one each time."""
        return self._random.normal(size=(6, 6)).astype("float32")

    def file(self, kernel: np.ndarray | None = None, norm: dict[str, np.ndarray] | None = None) -> bytes:
        """With this kernel, or one of its own."""
        return weights(self._folder / "m.weights.h5", self.kernel() if kernel is None else kernel, norm)

    def pair(self) -> tuple[bytes, bytes]:
        """The second one's kernel is not transposed; nothing but its values can tell."""
        kernel = self.kernel()
        return self.file(kernel), self.file(np.ascontiguousarray(kernel.T))

    def spoiled(self) -> bytes:
        """A NaN in the kernel, and a negative variance."""
        kernel = self.kernel()
        kernel[2, 3] = np.nan
        ones = np.linspace(0.5, 1.5, 6, dtype="float32")
        norm = {"gamma": ones, "beta": ones, "mean": ones, "variance": np.where(ones < 0.6, -ones, ones)}
        return self.file(kernel, norm)


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> Files:
    return Files(tmp_path_factory.mktemp("values"))


@pytest.fixture(scope="module")
def warm(service: Service, files: Files) -> Service:
    """The service, once something was measured: its `values` process is there."""
    post(service, files.file(), "&stats=true")
    return service


def post(service: Service, body: bytes, query: str = "") -> dict[str, Any]:
    """The analysis of a weights file."""
    response = service.ask("POST", f"/v1/analyses?wait=60&filename=m.weights.h5{query}", body=body, headers=RAW)
    assert response.status == 201, response.data
    found: dict[str, Any] = AnalysisSchema().load(response.json())
    return found


def compare(service: Service, left: str, right: str, **more: Any) -> dict[str, Any]:
    """The comparison of two analyses."""
    response = service.ask("POST", "/v1/comparisons?wait=60", json={"left": left, "right": right, **more})
    assert response.status == 201, response.data
    found: dict[str, Any] = ComparisonJobSchema().load(response.json())
    return found


def all_weights(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [weight for layer in report["layers"] for weight in layer["weights"]]


def values_processes(service: Service) -> list[int]:
    """The warm process of kind `values` and its children, of this service alone."""
    found, known = [], [service.process.pid]
    while known:
        pid = known.pop()
        try:
            known += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            named = b"--kind\0values" in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if named:
            found.append(pid)
    return found


@contextmanager
def values_held(service: Service) -> Iterator[None]:
    """Nothing that reads values comes to an end meanwhile. The warm process is there: something was measured."""
    held = values_processes(service)
    assert held
    for pid in held:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in held:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                continue  # it ended with its service


class TestStatistics:
    """What ?stats=true adds."""

    def test_with_the_upload(self, service: Service, files: Files) -> None:
        """They are NumPy's numbers."""
        kernel = files.kernel()
        measured = all_weights(post(service, files.file(kernel), "&stats=true")["report"])[0]["statistics"]
        assert (measured["status"], measured["count"], measured["nan"]) == ("complete", 36, 0)
        assert measured["min"] == kernel.min()
        assert measured["max"] == kernel.max()
        assert measured["mean"] == pytest.approx(kernel.mean(dtype="float64"))
        assert measured["std"] == pytest.approx(kernel.std(dtype="float64"))

    def test_rules_that_need_values_run_only_then(self, service: Service, files: Files) -> None:
        """Until then the report says of each why it did not run; afterwards they find what is wrong."""
        plain = post(service, files.spoiled())
        reasons = {run["rule"]: run["reason"] for run in plain["report"]["rules"] if not run["ran"]}
        assert all("stats=true" in reasons[rule] for rule in VALUE_RULES)
        assert not {"non_finite_values", "bad_variance"} & {one["rule"] for one in plain["report"]["findings"]}
        response = service.ask("GET", f"{plain['links']['self']}?stats=true&wait=60")
        assert response.status == 200, response.data
        report = AnalysisSchema().load(response.json())["report"]
        assert {run["rule"] for run in report["rules"] if run["ran"]} >= VALUE_RULES
        assert {("non_finite_values", "dense"), ("bad_variance", "batch_normalization")} <= {
            (one["rule"], one["path"]) for one in report["findings"]
        }
        again = service.ask("GET", f"{plain['links']['self']}").json()["report"]
        assert all(weight["statistics"] is None for weight in all_weights(again))

    def test_on_an_analysis_that_there_is(self, warm: Service, files: Files) -> None:
        """202 with progress and where to ask again until they are there; then 200, everywhere, at once."""
        service, found = warm, post(warm, files.file())
        here = found["links"]["self"]
        with values_held(service):
            for address in (here, f"{here}/report", f"{here}/layers/dense"):
                response = service.ask("GET", f"{address}?stats=true&wait=0")
                assert (response.status, response.headers["Retry-After"]) == (202, "1")
                waiting = AnalysisSchema().load(response.json())
                assert (waiting["id"], waiting["state"] in ("queued", "running")) == (found["id"], True)
                assert waiting["progress"] is None or 0 <= waiting["progress"] <= 1
                assert service.ask("GET", address).status == 200
        assert service.ask("GET", f"{here}/report?stats=true&wait=60").status == 200
        layer = service.ask("GET", f"{here}/layers/dense?stats=true").json()["layer"]
        assert [weight["statistics"]["status"] for weight in layer["weights"]] == ["complete"] * 2
        assert service.ask("GET", "/v1/analyses").json()["items"][0]["id"] == found["id"]

    def test_of_an_upload_that_is_gone(self, service: Service, files: Files) -> None:
        """409, and the report without them stays."""
        found = post(service, files.file())
        (service.data_dir / "blobs" / found["blake3"][:2] / found["blake3"]).unlink()
        response = service.ask("GET", f"{found['links']['self']}?stats=true&wait=60")
        assert (response.status, response.json()["code"]) == (409, "upload_gone")
        assert service.ask("GET", found["links"]["report"]).status == 200

    def test_short_answers_do_not_wait_for_them(self, warm: Service, files: Files) -> None:
        """While twenty jobs wait for a process that reads values and does not move, files are analysed."""
        service = warm
        with values_held(service):
            slow = [
                service.ask("POST", "/v1/analyses?wait=0&stats=true", body=files.file(), headers=RAW).json()
                for _ in range(20)
            ]
            assert all(one["state"] in ("queued", "running") for one in slow)
            for _ in range(8):
                assert post(service, files.file())["report"]["totals"]["parameters"] == 42
            assert service.ask("GET", "/healthz").status == 200
        for one in slow:
            assert service.ask("GET", f"{one['links']['self']}?wait=60").json()["state"] == "succeeded"


class TestComparisons:
    """Of values, and what becomes of comparisons when their sides go."""

    def test_a_planted_error_is_named(self, service: Service, files: Files) -> None:
        """By structure both are the same; the values prove the conversion wrong, and which weight."""
        sides = [post(service, body)["id"] for body in files.pair()]
        assert compare(service, *sides)["comparison"]["problems"] == []
        found = compare(service, *sides, values=True)["comparison"]
        assert [(problem["code"], problem["layers"]) for problem in found["problems"]] == [
            ("not_transposed", ["dense", "dense"])
        ]
        assert found["problems"][0]["text"] in found["summary"]
        verdicts = [weight["difference"]["verdict"] for layer in found["layers"] for weight in layer["weights"]]
        assert verdicts == ["different", "equal"]

    def test_equal_values_are_proved(self, service: Service, files: Files) -> None:
        """A file and itself."""
        side = post(service, files.file())["id"]
        found = compare(service, side, side, values=True)["comparison"]
        assert (found["gap"], found["unexplained"], found["problems"]) == (0, 0, [])
        assert {weight["difference"]["verdict"] for layer in found["layers"] for weight in layer["weights"]} == {
            "equal"
        }

    def test_a_side_that_is_deleted_afterwards(self, service: Service, files: Files) -> None:
        """The answer stays; a new one cannot be had: 404 with the side."""
        left, right = (post(service, body)["id"] for body in files.pair())
        done = compare(service, left, right, values=True)
        assert service.ask("DELETE", f"/v1/analyses/{right}").status == 204
        assert service.ask("GET", done["links"]["self"]).json()["comparison"] == done["comparison"]
        response = service.ask("POST", "/v1/comparisons", json={"left": left, "right": right, "values": True})
        assert (response.status, response.json()["pointer"]) == (404, "right")

    def test_a_side_that_is_deleted_meanwhile(self, warm: Service, files: Files) -> None:
        """Who waits for it is told which side is gone."""
        left = post(warm, files.file())["id"]
        with values_held(warm):
            right = warm.ask("POST", "/v1/analyses?wait=0&stats=true", body=files.file(), headers=RAW).json()
            waits = warm.ask("POST", "/v1/comparisons?wait=0", json={"left": left, "right": right["id"]})
            assert (waits.status, waits.json()["state"]) == (202, "queued")
            assert warm.ask("DELETE", right["links"]["self"]).status == 204
            ended = warm.ask("GET", f"{waits.json()['links']['self']}?wait=60").json()
        assert (ended["state"], ended["error"]["code"], ended["error"]["status"]) == ("failed", "right_gone", 409)
        assert warm.ask("GET", f"{waits.headers['Location']}?format=text").status == 409

    def test_one_that_runs_is_stopped(self, warm: Service, files: Files) -> None:
        """It stays as cancelled until it is deleted again; what comes after it is answered."""
        left, right = (post(warm, body)["id"] for body in files.pair())
        body = {"left": left, "right": right, "values": True}
        with values_held(warm):
            here = warm.ask("POST", "/v1/comparisons?wait=0", json=body).json()["links"]["self"]
            assert warm.ask("DELETE", here).status == 204
            assert warm.ask("GET", here).json()["state"] == "cancelled"
        assert compare(warm, left, right, values=True)["state"] == "succeeded"
        assert [warm.ask("DELETE", here).status for _ in range(2)] == [204, 404]

    def test_a_cancelled_analysis_is_no_side(self, warm: Service, files: Files) -> None:
        """409 at once, on either side."""
        well = post(warm, files.file())["id"]
        with values_held(warm):
            found = warm.ask("POST", "/v1/analyses?wait=0&stats=true", body=files.file(), headers=RAW).json()
            assert warm.ask("DELETE", found["links"]["self"]).status == 204
        for left, right, code in ((well, found["id"], "right_gone"), (found["id"], well, "left_gone")):
            response = warm.ask("POST", "/v1/comparisons?wait=60", json={"left": left, "right": right})
            assert (response.status, response.json()["code"]) == (409, code)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_that_ran_when_the_service_ended_are_finished_by_the_next(
    start: Any, files: Files, how: signal.Signals
) -> None:
    """Statistics with an upload, statistics asked for later, and a comparison of values: none is lost or failed."""
    first = start(WEB_CONCURRENCY="1")
    left, right = (post(first, body)["id"] for body in files.pair())
    post(first, files.file(), "&stats=true")
    with values_held(first):
        body = {"left": left, "right": right, "values": True}
        compared = first.ask("POST", "/v1/comparisons?wait=0", json=body).json()["links"]["self"]
        response = first.ask("POST", "/v1/analyses?wait=0&stats=true", body=files.file(), headers=RAW)
        measured = response.json()["links"]["self"]
        assert first.ask("GET", f"/v1/analyses/{right}?stats=true").status == 202
        running = [first.ask("GET", here).json()["state"] for here in (compared, measured)]
        assert set(running) <= {"running", "queued"}
        assert "running" in running
        orphans = first.workers()
        first.stop(how)
        for pid in orphans:  # of a killed master; they would end by themselves
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    again = start()
    ended = again.ask("GET", f"{compared}?wait=60").json()
    assert (ended["state"], ended["error"]) == ("succeeded", None)
    assert [problem["code"] for problem in ended["comparison"]["problems"]] == ["not_transposed"]
    for here in (f"{measured}?wait=60", f"/v1/analyses/{right}?stats=true&wait=60"):
        response = again.ask("GET", here)
        assert (response.status, response.json()["state"]) == (200, "succeeded"), response.data
        assert all(weight["statistics"] for weight in all_weights(response.json()["report"]))


def test_the_process_that_reads_values_is_started_on_first_need(start: Any, model: Any) -> None:
    """Cold it hinders nobody; many that need it at once share one; then it is warm, confined and counted."""
    service = start()
    assert not service.ask("GET", "/readyz").json()["workers"]["values"]["warm"]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: post(service, model(400 + number), "&stats=true"), range(6)))
    assert {one["state"] for one in found} == {"succeeded"}
    values = service.ask("GET", "/readyz").json()["workers"]["values"]
    assert (values["warm"], values["confined"], values["restarts"]) == (True, True, 0)
    assert all(values["selftest"].values())
    assert 'weighbridge_worker_warm{kind="values"} 1.0' in service.ask("GET", "/metrics").data.decode()
