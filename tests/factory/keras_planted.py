"""Writes Keras models with one thing wrong in the values of each; runs under an interpreter with Keras 3."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
from keras import layers as L  # noqa: N812 - as everyone writes it


def trained() -> Any:
    """A small network whose moving statistics have seen data."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    net = keras.Sequential([
        keras.Input((8, 8, 3)), L.Conv2D(8, 3, use_bias=False, name="first"), L.BatchNormalization(name="norm"),
        L.ReLU(), L.Conv2D(8, 3, name="second"), L.ReLU(), L.Conv2D(8, 3, name="third"), L.ReLU(),
        L.GlobalAveragePooling2D(), L.Dense(16, activation="relu", name="wide"), L.Dense(4, name="classes"),
    ])  # fmt: skip
    for _ in range(3):
        net(np.random.default_rng(0).random((16, 8, 8, 3)), training=True)
    return net


def put(net: Any, layer: str, index: int, change: Callable[[Any], None]) -> None:
    """Change one weight of a layer in place."""
    values = net.get_layer(layer).get_weights()
    change(values[index])
    net.get_layer(layer).set_weights(values)


def fresh_norms(net: Any) -> None:
    """Statistics as they were at the start."""
    put(net, "norm", 2, lambda mean: mean.fill(0))
    put(net, "norm", 3, lambda variance: variance.fill(1))


def small_gammas(net: Any) -> None:
    """Gammas of zero throughout."""
    put(net, "norm", 0, lambda gamma: gamma.fill(0))


def negative_variance(net: Any) -> None:
    """As when mean and variance are swapped."""
    put(net, "norm", 3, lambda variance: variance.__setitem__(slice(0, 2), -1.5))


def zero_kernel(net: Any) -> None:
    """A layer that was never filled."""
    put(net, "wide", 0, lambda kernel: kernel.fill(0))


def one_value(net: Any) -> None:
    """Units that stay equal."""
    put(net, "classes", 0, lambda kernel: kernel.fill(1))


def copied(net: Any) -> None:
    """One kernel in two places."""
    source = net.get_layer("second").get_weights()[0]
    put(net, "third", 0, lambda kernel: kernel.__setitem__(slice(None), source))


def not_a_number(net: Any) -> None:
    """A NaN in the moving mean."""
    put(net, "norm", 2, lambda mean: mean.__setitem__(0, np.nan))


def huge(net: Any) -> None:
    """A weight that has run away."""
    put(net, "classes", 0, lambda kernel: kernel.__setitem__((0, 0), 1e6))


PLANTS = [fresh_norms, small_gammas, negative_variance, zero_kernel, one_value, copied, not_a_number, huge]


def main(target: Path) -> None:
    """A model for each plant and one without, in both of Keras' formats."""
    for plant in (None, *PLANTS):
        net = trained()
        if plant is not None:
            plant(net)
        name = plant.__name__ if plant is not None else "healthy"
        net.save(target / f"{name}.keras")
        net.save(target / f"{name}.h5")
    (target / "expected.json").write_text(json.dumps([plant.__name__ for plant in PLANTS]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
