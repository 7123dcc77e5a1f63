"""The command line: the same analysis without a server."""

from __future__ import annotations

import json
import subprocess
import sys

from openapi_spec_validator import validate

from tests.http.conftest import ROOT


def run(*arguments):
    """The finished process."""
    command = [sys.executable, "-m", "service.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def test_analyze_prints_the_report(tmp_path, model):
    """As text by default, or as JSON; read behind the wall."""
    path = tmp_path / "m.weights.h5"
    path.write_bytes(model(4))
    assert "dense" in run("analyze", str(path)).stdout
    report = json.loads(run("analyze", "--format", "json", str(path)).stdout)
    assert report["totals"]["parameters"] == 20
    assert report["provenance"]["confinement"]["confined"]


def test_analyze_says_what_is_wrong(tmp_path):
    """One sentence and an exit status, no traceback."""
    path = tmp_path / "x"
    path.write_text("just some text")
    done = run("analyze", str(path))
    assert done.returncode == 1
    assert "a text file" in done.stderr
    assert "Traceback" not in done.stderr


def test_spec_prints_the_description():
    """Valid OpenAPI."""
    validate(json.loads(run("spec").stdout))
