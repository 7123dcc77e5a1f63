"""How much the outputs of layer lists change in training when the first layer's bias does; runs where a framework is.

`shaken.py keras|torch`: one layer list a line on standard input, the largest change a line on standard output. The
bias moves far up and far down: behind an activation that gives one value on one side, one of the two is not seen.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

MOVES = 2.0, 5.0
"""Least and most that a number of the bias is moved by; outputs of the layer without it are near 1."""


def keras_change(document: dict[str, Any]) -> float:
    """Build, run, move the bias, run again."""
    import keras
    import numpy as np

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    made = [getattr(keras.layers, item["type"])(**{key: value for key, value in item.items() if key != "type"})
            for item in document["layers"]]  # fmt: skip
    model = keras.Sequential([keras.Input(document["input_shape"]), *made])
    inputs = np.random.default_rng(0).random((8, *document["input_shape"])).astype("float32")
    before, steps = np.array(model(inputs, training=True)), np.linspace(MOVES[0], MOVES[1], made[0].bias.shape[0])
    changes = []
    for sign in (1, -1):
        made[0].bias.assign(sign * steps)
        changes.append(float(abs(before - np.array(model(inputs, training=True))).max()))
    return max(changes)


def torch_change(document: dict[str, Any]) -> float:
    """Build, run, move the bias, run again."""
    import torch
    from torch import nn

    from tests.factory.torch_specs import written_out

    torch.manual_seed(0)
    inputs = torch.rand(8, *document["input_shape"])
    made: list[nn.Module] = []
    with torch.no_grad():
        for item in document["layers"]:
            made.append(written_out(item, nn.Sequential(*made)(inputs)))
        model = nn.Sequential(*made).train()
        before, bias = model(inputs), made[0].bias.clone()
        steps = torch.linspace(*MOVES, len(bias))
        changes = []
        for sign in (1, -1):
            made[0].bias[:] = bias + sign * steps
            changes.append(float((before - model(inputs)).abs().max()))
        return max(changes)


def main() -> None:
    """Answer every line."""
    change = keras_change if sys.argv[1] == "keras" else torch_change
    for line in sys.stdin:
        print(change(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
