"""What the PyTorch builder says of a layer list is what PyTorch itself says of the same modules on real tensors."""

from __future__ import annotations

import functools
import json
from typing import Any

from tests.building import answers
from tests.corpus import corpus_dir, expected


@functools.cache
def pairs() -> list[tuple[dict[str, Any], Any, dict[str, Any]]]:
    """Each list of the corpus, PyTorch's account of it (None: refused), and ours."""
    lines = (corpus_dir("torch_specs") / "specs.jsonl").read_text().splitlines()
    told = expected("torch_specs")["models"]
    return list(zip(map(json.loads, lines), told, answers("torch", lines), strict=True))


def ours(layer: dict[str, Any]) -> list[list[Any]]:
    """A layer's weights in the corpus' words."""
    return [
        [weight["name"], weight["shape"], weight["dtype"],
         "buffer" if weight["group"] == "statistic" else "parameter", weight["trainable"]]
        for weight in layer["weights"]
    ]  # fmt: skip


def test_refuses_what_pytorch_refuses() -> None:
    """A list that PyTorch cannot make or run is an invalid spec, and every other one becomes a model."""
    for spec, told, answer in pairs():
        assert ("model" in answer) == (told is not None), (spec, answer)
        assert "model" in answer or answer["error"]["code"] == "invalid_spec"


def test_modules_and_weights_agree() -> None:
    """Paths, classes, and of every weight name, shape, dtype, kind and requires_grad are PyTorch's own."""
    for spec, told, answer in pairs():
        if told is None:
            continue
        layers = answer["model"]["layers"]
        assert [(layer["path"], layer["type"]) for layer in layers] == [
            (layer["path"], layer["type"]) for layer in told
        ], spec
        for layer, theirs in zip(layers, told, strict=True):
            assert ours(layer) == theirs["weights"], (spec, layer["path"])


def test_output_shapes_agree() -> None:
    """Output shapes are those of real tensors, with the batch axis open, also where it is not the first axis."""
    for spec, told, answer in pairs():
        for layer, theirs in zip(answer["model"]["layers"] if told else [], told or [], strict=True):
            if theirs["output"] is not None:
                assert _same(layer["output_shapes"], theirs["output"]), (spec, layer["path"], layer["output_shapes"])


def _same(found: list[list[int | None]], real: list[list[int]]) -> bool:
    """Whether each shape has its sizes, with None exactly once, for the batch of two."""
    return len(found) == len(real) and all(map(_same_shape, found, real))


def _same_shape(found: list[int | None], real: list[int]) -> bool:
    sizes = [2 if size is None else size for size in found]
    return sizes == real and found.count(None) == 1
