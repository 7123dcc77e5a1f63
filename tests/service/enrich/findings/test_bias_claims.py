"""A bias is called redundant exactly where moving it changes nothing that the framework computes in training."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.corpus import ROOT, interpreter
from tests.service.enrich.findings.cases import BIAS, KERAS, TORCH, Case

SCRIPT = Path(__file__).with_name("shaken.py")
BIASED = ("Dense", "Linear", "Conv2D", "Conv2d", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D")
UNTOUCHED = 1e-3
"""Rounding stays below this; a bias that counts moves outputs by more than one."""
RANDOM = ("Dropout",)
"""Layers that give something else each time."""


def judged(case: Case) -> bool:
    """Whether it is a chain from a layer with a bias to a normalisation, with nothing random in it."""
    layers = case.document["layers"]
    plain = all(isinstance(item, dict) and not {"inputs", "layers"} & set(item) for item in layers)
    norms = any("Norm" in item["type"] for item in layers)
    biased = layers[0]["type"] in BIASED and layers[0].get("use_bias", layers[0].get("bias", True))
    return plain and norms and biased and "outputs" not in case.document and layers[-1]["type"] not in RANDOM


def changes(framework: str, cases: list[Case]) -> list[float]:
    """What the framework says to each case."""
    done = subprocess.run(
        [interpreter(framework), str(SCRIPT), framework],
        input="".join(json.dumps(case.document) + "\n" for case in cases),
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [float(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_redundant_means_that_nothing_changes(framework: str) -> None:
    """All positive cases and all near misses, run by the framework itself."""
    cases = [case for case in (KERAS if framework == "keras" else TORCH) if judged(case) and "dropout" not in case.name]
    assert len(cases) > 12
    untouched = [change < UNTOUCHED for change in changes(framework, cases)]
    claimed = [any(rule == BIAS for rule, _ in case.expected) for case in cases]
    wrong = [case.name for case, a, b in zip(cases, untouched, claimed, strict=True) if a is not b]
    assert wrong == []
