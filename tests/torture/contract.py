"""schemathesis against a live service: no 5xx, no undocumented answer, with and without a key.

    python -m tests.torture.contract [EXAMPLES] [SEED]

It runs in an environment of its own (`make install-audit`), found by WEIGHBRIDGE_AUDIT_PYTHON.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from service.web.examples import SAFETENSORS
from tests.http.conftest import Service
from tests.torture.storm import model

ROOT = Path(__file__).resolve().parent.parent.parent
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "unsupported_method", "ignored_auth",
)  # fmt: skip
SECONDS = 3600
REQUEST_SECONDS = 90
"""More than the longest wait: a framework may be starting."""
HOOKS = """
import schemathesis

@schemathesis.hook
def map_body(context, body):
    if context.operation.label == "POST /v1/comparisons" and isinstance(body, dict) and len(str(body)) % 2:
        return body | {{"left": {analysis!r}, "right": {analysis!r}}}
    if context.operation.label == "POST /v1/analyses" and isinstance(body, (str, bytes)) and len(body) % 2:
        return {model!r}
    return body
"""
"""Half of the bodies are of things that are there, so that more than refusals is asked for."""
CASES = re.compile(r"(\d[\d,]*) generated, (\d[\d,]*) passed")


class Outcome(NamedTuple):
    """How a run ended; `text` is all that was said."""

    status: int
    cases: int
    passed: int
    text: str


def interpreter() -> Path | None:
    """That of the environment with schemathesis; None if there is none."""
    named = os.environ.get("WEIGHBRIDGE_AUDIT_PYTHON")
    found = Path(named) if named else ROOT / ".venv-audit" / "bin" / "python"
    return found if found.exists() else None


def run(
    python: Path, service: Service, *, examples: int, seed: int, key: str | None = None, phases: str = ""
) -> Outcome:
    """Ask the service all that its description allows, and much that it does not."""
    with tempfile.TemporaryDirectory() as folder:
        _tell_of_what_is_there(Path(folder), service, key)
        report = Path(folder, "report")
        arguments = ["--checks", ",".join(CHECKS), "--max-examples", str(examples), "--seed", str(seed), "--no-color"]
        arguments += ["--request-timeout", str(REQUEST_SECONDS)]
        arguments += ["--phases", phases] if phases else []
        arguments += ["--header", f"X-API-Key: {key}"] if key else []
        address = f"http://127.0.0.1:{service.port}/openapi.json"
        with report.open("wb") as output:
            done = subprocess.run(
                [python.with_name("st"), "run", address, *arguments],
                cwd=folder, stdout=output, stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
            )  # fmt: skip
        text = report.read_text(encoding="utf-8", errors="replace")
    found = CASES.search(text)
    cases, passed = (int(number.replace(",", "")) for number in found.groups()) if found else (0, 0)
    return Outcome(done.returncode, cases, passed, text)


def _tell_of_what_is_there(folder: Path, service: Service, key: str | None) -> None:
    """So that what is asked for can be found."""
    headers = {"X-API-Key": key} if key else {}
    made = service.ask("POST", "/v1/analyses?wait=30&filename=a.safetensors", body=model(7), headers=headers).json()
    sides = {"left": made["id"], "right": made["id"]}
    compared = service.ask("POST", "/v1/comparisons?wait=30", json=sides, headers=headers).json()
    own = {"/v1/analyses": made["id"], "/v1/comparisons": compared["id"]}
    hooks = HOOKS.format(analysis=made["id"], model=SAFETENSORS.encode())
    (folder / "hooks.py").write_text(hooks, encoding="utf-8")
    lines = ['hooks = "hooks"', "", "[parameters]", 'kind = "linear"', 'path = "w"', ""]
    for method, path in (
        ("GET", "/v1/analyses/{id}"), ("GET", "/v1/analyses/{id}/report"), ("GET", "/v1/analyses/{id}/layers/"),
        ("GET", "/v1/analyses/{id}/layers/{path}"), ("GET", "/v1/comparisons/{id}"),
    ):  # fmt: skip
        identifier = next(found for prefix, found in own.items() if path.startswith(prefix))
        lines += ["[[operations]]", f'include-name = "{method} {path}"', f'parameters = {{ id = "{identifier}" }}', ""]
    (folder / "schemathesis.toml").write_text("\n".join(lines), encoding="utf-8")


def main(argv: list[str]) -> int:
    """One run without keys, one with a key that may do all."""
    python = interpreter()
    if python is None:
        print("contract: no environment with schemathesis; see WEIGHBRIDGE_AUDIT_PYTHON in CONTRIBUTING.md")
        return 2
    examples, seed = (int(argv[0]) if argv else 150), (int(argv[1]) if argv[1:] else 1)
    worst = 0
    for auth in ("off", "required"):
        with tempfile.TemporaryDirectory() as folder:
            outcome = _once(python, Path(folder), auth, examples, seed)
        print(f"contract, auth {auth}: {outcome.cases} cases, {outcome.passed} as described, status {outcome.status}")
        if outcome.status:
            print(*(line[:300] for line in outcome.text.splitlines()[-200:]), sep="\n")
        worst = max(worst, outcome.status)
    return worst


def _once(python: Path, folder: Path, auth: str, examples: int, seed: int) -> Outcome:
    settings = {
        "WEIGHBRIDGE_AUTH": auth, "WEIGHBRIDGE_LOG_LEVEL": "ERROR", "WEIGHBRIDGE_MAX_QUEUED_JOBS": "100000",
        "WEIGHBRIDGE_QUOTA_REQUESTS_PER_MINUTE": "0", "WEIGHBRIDGE_QUOTA_SUBMISSIONS_PER_MINUTE": "0",
    }  # fmt: skip
    service = Service(folder / "data", **settings)
    try:
        service.wait_until_ready()
        key = made_key(service) if auth == "required" else None
        return run(python, service, examples=examples, seed=seed, key=key)
    finally:
        service.stop()


def made_key(service: Service) -> str:
    """A key that may do all, as the operator makes it."""
    environment = {**os.environ, "WEIGHBRIDGE_DATA_DIR": str(service.data_dir)}
    command = [sys.executable, "-m", "service.cli", "keys", "add", "contract", "--role", "admin"]
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    return next(word for word in said.split() if word.startswith("wb_"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
