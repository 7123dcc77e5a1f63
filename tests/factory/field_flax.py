"""Writes Flax and Orbax checkpoints with their own libraries, and what is in them, into the folder given.

expected.json: {"msgpack": file -> {key path: {shape, dtype}}, "orbax": folder -> {key path: {shape, dtype}}}, as
`flax.serialization.msgpack_restore` and the saved trees have it. Key paths are joined by `/`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import serialization
from flax.training import train_state

OUT = Path(sys.argv[1])
EXPECTED: dict[str, dict] = {"msgpack": {}, "orbax": {}, "parameters": {}}


class Net(nn.Module):
    """A convolution, a normalisation with moving statistics, an embedding's table and two dense layers."""

    @nn.compact
    def __call__(self, x, tokens):
        """Everything once."""
        x = nn.Conv(8, (3, 3))(x)
        x = nn.BatchNorm(use_running_average=False)(x)
        x = nn.Dense(10, param_dtype=jnp.bfloat16)(x.mean((1, 2)))
        y = nn.LayerNorm()(nn.Embed(20, 10, name="table")(tokens)).mean(1)
        return nn.Dense(5, use_bias=False)(x + y)


class State(train_state.TrainState):
    """With the statistics beside the parameters."""

    batch_stats: dict


def variables() -> dict:
    """The network's parameters and statistics."""
    return Net().init(jax.random.key(0), jnp.ones((1, 8, 8, 3)), jnp.ones((1, 4), jnp.int32))


def arrays(tree, path=()) -> dict:
    """Every array of a restored tree by its path."""
    if isinstance(tree, dict):
        return {key: held for name, inner in tree.items() for key, held in arrays(inner, (*path, str(name))).items()}
    if isinstance(tree, (list, tuple)):
        return arrays(dict(enumerate(tree)), path)
    if hasattr(tree, "shape"):
        return {"/".join(path): {"shape": list(tree.shape), "dtype": str(tree.dtype)}}
    return {}


def write(name: str, data: bytes) -> None:
    """A MessagePack file, and what Flax reads from it."""
    (OUT / name).write_bytes(data)
    EXPECTED["msgpack"][name] = arrays(serialization.msgpack_restore(data))


def checkpoint(name: str, tree, **options) -> None:
    """An Orbax folder of the arrays of `tree`."""
    handler = ocp.PyTreeCheckpointHandler(**options)
    ocp.Checkpointer(handler).save((OUT / name).absolute(), args=ocp.args.PyTreeSave(tree))
    EXPECTED["orbax"][name] = arrays(tree)


def main() -> None:
    """All files."""
    held = variables()
    state = State.create(apply_fn=None, params=held["params"], tx=optax.adam(1e-3), batch_stats=held["batch_stats"])
    write("variables.msgpack", serialization.to_bytes(held))
    write("parameters.msgpack", serialization.to_bytes(held["params"]))
    write("state.msgpack", serialization.to_bytes(state))
    inner = {"scalar": np.float32(3), "half": np.ones(3, np.float16), "empty": np.ones((0, 4), np.int8),
             "flags": np.ones(2, bool), "deep": {"list": [np.ones(2), np.ones(3)]}}  # fmt: skip
    odd = {"params": inner, "c": 1 + 2j, "name": "net", "step": 7}
    write("odd.msgpack", serialization.msgpack_serialize(serialization.to_state_dict(odd)))
    serialization.MAX_CHUNK_SIZE = 100
    pieces = serialization.to_state_dict(jax.tree.map(np.asarray, held))
    write("pieces.msgpack", serialization.msgpack_serialize(pieces))
    plain = {**jax.tree.map(lambda leaf: leaf, held), "step": jnp.int32(3)}
    checkpoint("zarr", plain, use_ocdbt=False)
    checkpoint("zarr3", plain, use_ocdbt=False, use_zarr3=True)
    checkpoint("ocdbt", plain)
    checkpoint("ocdbt3", plain, use_zarr3=True)
    standard = ocp.StandardCheckpointer()
    standard.save((OUT / "standard").absolute(), plain)
    standard.wait_until_finished()
    EXPECTED["orbax"]["standard"] = arrays(plain)
    manager = ocp.CheckpointManager((OUT / "manager").absolute())
    manager.save(5, args=ocp.args.Composite(state=ocp.args.StandardSave(plain), extra=ocp.args.JsonSave({"a": 1})))
    manager.wait_until_finished()
    EXPECTED["orbax"]["manager"] = arrays(plain)
    EXPECTED["parameters"] = {
        name: int(sum(leaf.size for leaf in jax.tree.leaves(held[name]))) for name in ("params", "batch_stats")
    }
    (OUT / "expected.json").write_text(json.dumps(EXPECTED))


main()
