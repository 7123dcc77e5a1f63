"""Reads specs here and runs the builders where their frameworks are: specs in, models or errors out."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from typing import Any

import msgspec

from service.config import Limits
from service.errors import WeighbridgeError
from service.formats import Upload
from service.readers import hf_config, keras_json, layer_list
from service.source import BytesSource, Meter
from service.wire import encode
from tests.corpus import ROOT, interpreter

DRIVER = ROOT / "tests" / "drivers" / "build.py"


def answers(kind: str, documents: Iterable[Any]) -> list[dict[str, Any]]:
    """What the readers say to each document, or `tests/drivers/build.py`; a text goes in as it is, all else as JSON."""
    texts = [document if isinstance(document, str) else json.dumps(document) for document in documents]
    read = [_read(text) for text in texts]
    built = iter(_built(kind, [request for request in read if isinstance(request, bytes)]))
    return [next(built) if isinstance(found, bytes) else found for found in read]


def _read(text: str) -> bytes | dict[str, Any]:
    """The build request; the error, or that no reader knows it, where it goes no further."""
    meter = Meter(Limits())
    upload = Upload({"spec.json": BytesSource(text.encode(), meter)}, meter)
    try:
        reader = next((reader for reader in (keras_json, layer_list, hf_config) if reader.accept(upload)), None)
        return {"unknown": True} if reader is None else encode(reader.read(upload))
    except WeighbridgeError as error:
        return {"error": msgspec.to_builtins(error.info, enc_hook=str)}


def _built(kind: str, requests: list[bytes]) -> list[dict[str, Any]]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [interpreter("torch" if kind == "transformers" else kind), str(DRIVER), kind],
        input=b"".join(request + b"\n" for request in requests),
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
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
