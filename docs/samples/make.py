"""Makes the sample files beside it; runs under the interpreter of the framework that it is told.

    python docs/samples/make.py keras docs/samples
    python docs/samples/make.py torch docs/samples
    python docs/samples/make.py rehearse-keras service/worker/rehearsal_files
    python docs/samples/make.py rehearse-torch service/worker/rehearsal_files

The same small digit classifier in both frameworks: one convolution, one batch normalisation, one dense layer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CHANNELS, SIDE, CLASSES = 8, 16, 10


def make_keras(folder: Path) -> None:
    """`digits.keras` (trained one step, so with optimizer variables), `.h5`, `.weights.h5`, `.json`."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            keras.layers.Conv2D(CHANNELS, 3, padding="same", activation="relu", name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.MaxPooling2D(4, name="pool"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(0.25, name="dropout"),
            keras.layers.Dense(CLASSES, activation="softmax", name="classes"),
        ],
        name="digits",
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.train_on_batch(np.zeros((2, SIDE, SIDE, 1)), np.zeros((2,)))
    model.save(folder / "digits.keras")
    model.save(folder / "digits.h5")
    model.save_weights(folder / "digits.weights.h5")
    (folder / "digits.json").write_text(json.dumps(json.loads(model.to_json()), indent=1) + "\n")


def make_torch(folder: Path) -> None:
    """`digits_state_dict.pt`, `digits_module.pt`, `digits_torchscript.pt`, `digits.pt2`."""
    import torch
    from torch import nn

    torch.manual_seed(7)
    model = nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3, padding="same"),
        nn.ReLU(),
        nn.BatchNorm2d(CHANNELS),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(CHANNELS * (SIDE // 4) ** 2, CLASSES),
    ).eval()
    torch.save(model.state_dict(), folder / "digits_state_dict.pt")
    torch.save(model, folder / "digits_module.pt")
    torch.jit.script(model).save(str(folder / "digits_torchscript.pt"))
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(model, (torch.zeros(2, 1, SIDE, SIDE),), dynamic_shapes=({0: batch},))
    torch.export.save(exported, folder / "digits.pt2")


def rehearse_keras(folder: Path) -> None:
    """The smallest files of their kind, for the warm process to try its readers on: see service/worker/rehearsal.py."""
    import keras

    layers = [
        keras.Input((4, 4, 1)),
        keras.layers.Conv2D(2, 1),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers, name="tiny")
    model.save(folder / "tiny.keras")
    model.save(folder / "tiny.h5")
    model.save_weights(folder / "tiny.weights.h5")


def rehearse_torch(folder: Path) -> None:
    """As `rehearse_keras`."""
    import torch
    from torch import nn

    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Linear(4, 1)).eval()
    torch.save(model.state_dict(), folder / "tiny_state_dict.pt")
    torch.save(model, folder / "tiny_module.pt")
    torch.save(model.state_dict(), folder / "tiny_legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.script(model).save(str(folder / "tiny_torchscript.pt"))
    torch.export.save(torch.export.export(model, (torch.zeros(2, 1, 4, 4),)), folder / "tiny.pt2")


MAKERS = {
    "keras": make_keras,
    "torch": make_torch,
    "rehearse-keras": rehearse_keras,
    "rehearse-torch": rehearse_torch,
}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]))
