"""Writes facenet-pytorch's networks as PyTorch exports and pickles them: `published_torch.py FOLDER PNET RNET`.

Runs under an interpreter with PyTorch, with the project's root on the path. expected.json: name -> parameter -> shape.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import torch

from tests.packages.published import EXAMPLES, published


def main(folder: Path, *weights: Path) -> None:
    """An exported program and a pickled state_dict of each."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, file in zip(("pnet", "rnet"), weights, strict=True):
        network = published(name, file)
        program = torch.export.export(network, (torch.rand(EXAMPLES[name]),))
        torch.export.save(program, folder / f"{name}.pt2")
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(network.state_dict()))
        expected[name] = {key: list(value.shape) for key, value in network.state_dict().items()}
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
