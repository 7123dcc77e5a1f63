"""Writes the configuration of every architecture in keras.applications and the output shape of every layer.

Run by `tests.corpus` under an interpreter with Keras 3: `python keras_architectures.py FOLDER`. The models are built
inside a `StatelessScope`, so that no weight is ever allocated.
expected.json: architecture -> {"config": to_json(), "outputs": {layer name: [shape]}}.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
from keras.src.backend.common import global_state


def _outputs(model: Any) -> dict[str, Any]:
    return {
        operation.name: [[None, *tensor.shape[1:]] for tensor in keras.tree.flatten(operation.output)]
        for operation in model._operations
    }


def _describe(name: str) -> dict[str, Any]:
    keras.utils.clear_session()
    keras.StatelessScope().__enter__()  # never left: leaving it would create the weights
    model = getattr(keras.applications, name)(weights=None)
    found = {"config": json.loads(model.to_json()), "outputs": _outputs(model)}
    global_state.set_global_attribute("stateless_scope", None)
    return found


def main(folder: Path) -> None:
    """Write everything into `folder`."""
    names = [name for name in dir(keras.applications) if name[0].isupper()]
    (folder / "expected.json").write_text(json.dumps({name: _describe(name) for name in names}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
