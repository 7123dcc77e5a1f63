"""Runs the builders where their frameworks are: specs in, models or errors out, many in one process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from typing import Any

from tests.corpus import ROOT, interpreter

DRIVER = ROOT / "tests" / "drivers" / "build.py"


def answers(kind: str, documents: Iterable[Any]) -> list[dict[str, Any]]:
    """What `tests/drivers/build.py` says to each document; a text goes in as it is, anything else as JSON."""
    lines = [document if isinstance(document, str) else json.dumps(document) for document in documents]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [interpreter("torch" if kind == "transformers" else kind), str(DRIVER), kind],
        input="\n".join(lines) + "\n",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def answer(kind: str, document: Any) -> dict[str, Any]:
    """The answer to one document."""
    return answers(kind, [document])[0]


def weights(layer: dict[str, Any]) -> list[dict[str, Any]]:
    """A layer's weights as its framework counts them: without the states of random generators."""
    return [weight for weight in layer["weights"] if weight["role"] != "seed_state"]


def elements(model: dict[str, Any], *groups: str) -> int:
    """Elements of a model's weights in `groups` (all, if none is named)."""
    held = (weight for layer in model["layers"] for weight in weights(layer))
    return sum(weight["count"] for weight in held if not groups or weight["group"] in groups)
