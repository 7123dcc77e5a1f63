"""Writes Flax checkpoints anew with Orbax: `published_orbax.py FOLDER FILE...`; runs where both are.

Each file's parameters go into `<stem>_ocdbt` and `<stem>_zarr`. expected.json: stem -> key path -> shape.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from flax import serialization


def leaves(tree: Any, *path: str) -> Iterator[tuple[str, list[int]]]:
    """Key paths and shapes."""
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield from leaves(inner, *path, key)
    else:
        yield "/".join(path), list(tree.shape)


def main(folder: Path, *files: Path) -> None:
    """Both ways of keeping each."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for file in files:
        restored = serialization.msgpack_restore(file.read_bytes())["params"]["params"]
        tree = {"params": jax.tree.map(jnp.asarray, restored)}
        stem = file.stem.partition("-")[2]
        expected[stem] = dict(leaves(tree))
        for way, database in (("ocdbt", True), ("zarr", False)):
            target = folder.absolute() / f"{stem}_{way}"
            shutil.rmtree(target, ignore_errors=True)
            handler = ocp.PyTreeCheckpointHandler(use_ocdbt=database)
            ocp.Checkpointer(handler).save(target, args=ocp.args.PyTreeSave(tree))
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
