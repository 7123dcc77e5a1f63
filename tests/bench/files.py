"""Makes the files that the benchmark weighs; runs under the interpreter of the framework that it is told.

python tests/bench/files.py keras FOLDER        ResNet50 (.keras, .h5) and VGG16 (.keras), random weights
python tests/bench/files.py torch FOLDER        a ResNet50 of torch.nn as whole module and as state_dict
"""

from __future__ import annotations

import sys
from pathlib import Path


def make_keras(folder: Path) -> None:
    """About 100, 100 and 550 MB."""
    import keras

    resnet = keras.applications.ResNet50(weights=None)
    resnet.save(folder / "resnet50.keras")
    resnet.save(folder / "resnet50.h5")
    keras.applications.VGG16(weights=None).save(folder / "vgg16.keras")


def make_torch(folder: Path) -> None:
    """About 100 MB each."""
    import torch

    from tests.bench.resnet import resnet50  # its classes are found again under this name when the file is loaded

    module = resnet50()
    torch.save(module, folder / "resnet50_module.pt")
    torch.save(module.state_dict(), folder / "resnet50_state_dict.pt")


if __name__ == "__main__":
    {"keras": make_keras, "torch": make_torch}[sys.argv[1]](Path(sys.argv[2]))
