"""Taking saved objects apart by structure: shapes of checkpoints beyond those of the corpus."""

from __future__ import annotations

from typing import Any

import pytest

from service.catalog.torch_checkpoint import Contents, sounds_averaged, split
from service.catalog.torch_storage import Storage
from service.catalog.torch_tensors import Tensor, view
from service.errors import LimitExceeded


def tensor(*shape: int) -> Tensor:
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return view(Storage("0", "float32", 100), 0, shape, tuple(reversed(steps))[: len(shape)], requires_grad=None)


STATE = {"a.weight": tensor(2, 3), "a.bias": tensor(2)}


def keys(contents: Contents) -> dict[str, list[str]]:
    shelves = ("models", "averaged", "optimizers", "schedulers", "tensors", "plain")
    return {name: [part.key for part in getattr(contents, name)] for name in shelves if getattr(contents, name)}


@pytest.mark.parametrize(
    ("saved", "parts"),
    [
        (STATE, {"models": [""]}),
        ({"weight": tensor(2, 3)}, {"models": [""]}),
        ({"a": {"b": {"c": STATE}}}, {"models": ["a.b.c"]}),
        ([STATE, STATE], {"models": ["[0]", "[1]"]}),
        (
            {"encoder": {"weight": tensor(2, 3)}, "decoder": {"weight": tensor(3, 2)}},
            {"models": ["encoder", "decoder"]},
        ),
        ({"net": STATE, "best": tensor(), "seed": tensor(5)}, {"models": ["net"], "tensors": ["best", "seed"]}),
        (
            {"net": STATE, "metrics": {"loss": tensor(), "f1": tensor()}},
            {"models": ["net"], "tensors": ["metrics.loss", "metrics.f1"]},
        ),
        ({"net": STATE, "queue": [tensor(2), tensor(3)]}, {"models": ["net"], "tensors": ["queue"]}),
        ({"net": STATE, "epoch": 3, "args": {"lr": 1}}, {"models": ["net"], "plain": ["epoch", "args"]}),
        ({**STATE, "extra": {"weight": tensor(4)}}, {"models": ["", "extra"]}),
        ({"o": {"state": {}, "param_groups": []}}, {"optimizers": ["o"]}),
        ({"s": [{"last_epoch": 1, "_step_count": 2}]}, {"schedulers": ["s[0]"]}),
        ({"state": 1, "params": 2}, {"plain": [""]}),
        ({"net": STATE, "net_ema": STATE}, {"models": ["net"], "averaged": ["net_ema"]}),
        (
            {"net": STATE, "ema": {"module." + key: item for key, item in STATE.items()}},
            {"models": ["net"], "averaged": ["ema"]},
        ),
        ({"net": STATE, "ema": {"other.weight": tensor(2, 2)}}, {"models": ["net", "ema"]}),
        ({"ema": STATE}, {"models": ["ema"]}),
        ({}, {"plain": [""]}),
        (5, {"plain": [""]}),
    ],
)
def test_parts(saved: Any, parts: dict[str, list[str]]) -> None:
    """Models wherever they lie, averages only beside their like, tensors between other things, plain values."""
    assert keys(split(saved)) == parts


@pytest.mark.parametrize(
    ("key", "answer"),
    [
        ("ema", True),
        ("model_ema", True),
        ("state_dict_ema", True),
        ("emaModel", True),
        ("swa_model", True),
        ("schema", False),
        ("email", False),
        ("", False),
    ],
)
def test_names_of_averages(key: str, answer: bool) -> None:
    """Whole words only."""
    assert sounds_averaged(key) is answer


def test_a_flood_of_parts_is_refused() -> None:
    """More models and states than any checkpoint has."""
    with pytest.raises(LimitExceeded):
        split({str(number): {"last_epoch": 1, "_step_count": 1} for number in range(10_001)})


def test_containers_that_hold_themselves_end() -> None:
    """A cycle is looked into once."""
    loop: dict[str, Any] = {"net": STATE}
    loop["self"] = loop
    assert keys(split(loop)) == {"models": ["net"]}
