"""Writes files that training leaves behind and that do nothing but hold data; runs under an interpreter with PyTorch.

Optimizers, schedulers, random states, checkpoints with hyper-parameters of many kinds, whole modules with functions as
attributes, wrapped and quantised modules, and pickles of three protocols: what a scanner must not cry wolf about.
expected.json: the names of all files.
"""

from __future__ import annotations

import argparse
import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import functools
import inspect
import ipaddress
import json
import logging
import math
import operator
import pathlib
import pickle
import random
import re
import sys
import types
import typing
import uuid
import warnings
import zoneinfo
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Strategy(enum.Enum):
    """As trainers have many."""

    STEPS = "steps"
    EPOCH = "epoch"


class Level(enum.IntEnum):
    """With numbers."""

    LOW = 1


@dataclass
class Arguments:
    """What a run was started with."""

    rate: float = 0.1
    strategy: Strategy = Strategy.STEPS


class Pair(typing.NamedTuple):
    """Of numbers."""

    left: int
    right: int


class Block(nn.Module):
    """A module that keeps functions and other things as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_layer = functools.partial(nn.LayerNorm, eps=1e-6)
        self.norm = self.norm_layer(4)
        self.activation = functional.gelu
        self.relu, self.tanh, self.silu = torch.relu, torch.tanh, functional.silu
        self.approximated = functools.partial(functional.gelu, approximate="tanh")
        self.initialise = nn.init.xavier_uniform_
        self.logger = logging.getLogger("block")
        self.type, self.nothing = typing.Optional[int], type(None)  # noqa: UP045 - as older code has it
        self.exponential, self.plus = math.exp, operator.add


def settings() -> dict[str, object]:
    """Hyper-parameters of every kind that people keep in checkpoints."""
    return {
        "namespace": argparse.Namespace(x=1), "simple": types.SimpleNamespace(a=1), "path": pathlib.Path("/a/b"),
        "now": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "zone": zoneinfo.ZoneInfo("UTC"),
        "decimal": decimal.Decimal(1), "fraction": fractions.Fraction(1, 2), "uuid": uuid.UUID(int=1),
        "optimizer": functools.partial(torch.optim.Adam, lr=1e-3), "loss": nn.CrossEntropyLoss(), "class": nn.Linear,
        "dtype": torch.float32, "device": torch.device("cpu"), "layout": torch.strided, "size": torch.Size([1, 2]),
        "pattern": re.compile("a+"), "set": {1, 2}, "frozen": frozenset([1]), "complex": 1j, "slice": slice(1, 2),
        "range": range(3), "bytes": bytearray(b"x"), "ellipsis": ..., "not": NotImplemented, "error": ValueError("x"),
        "counter": collections.Counter("aab"), "deque": collections.deque([1]), "lists": collections.defaultdict(list),
        "counts": collections.defaultdict(int), "array": array.array("d", [1.0]), "ip": ipaddress.ip_address("::1"),
        "empty": inspect.Parameter.empty, "kind": inspect.Parameter.POSITIONAL_ONLY, "strategy": Strategy.EPOCH,
        "level": Level.LOW, "arguments": Arguments(), "pair": Pair(1, 2),
        "types": [typing.Any, typing.Union[int, str], list[int], int | None],  # noqa: UP007
        "scalar": np.float32(1), "numpy dtype": np.dtype("f4"), "record": np.zeros(2, dtype=[("a", "f4")]),
        "words": np.array(["a"]), "objects": np.array([1, "a"], dtype=object), "masked": np.ma.masked_array([1], [0]),
        "day": np.datetime64("2026"), "polynomial": np.polynomial.Polynomial([1, 2]), "function": np.add,
        "bits": np.random.PCG64(1), "seed": np.random.SeedSequence(1),
    }  # fmt: skip


def training() -> dict[str, object]:
    """What trainers write beside the weights."""
    found: dict[str, object] = {}
    for kind, more in ((torch.optim.Adam, {"amsgrad": True}), (torch.optim.SGD, {"momentum": 0.9}),
                       (torch.optim.AdamW, {}), (torch.optim.LBFGS, {})):  # fmt: skip
        optimizer = kind(nn.Linear(3, 3).parameters(), lr=0.1, **more)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.9)
        found[f"optimizer_{kind.__name__}.pt"] = optimizer.state_dict()
        found[f"whole_optimizer_{kind.__name__}.pt"] = optimizer
        found[f"scheduler_{kind.__name__}.pt"] = schedule.state_dict()
    found["whole_scheduler.pt"] = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 3)
    found["scaler.pt"] = torch.amp.GradScaler(enabled=False).state_dict()
    found["trainer_state.pt"] = Arguments()
    found["rng_state.pth"] = {
        "python": random.getstate(), "numpy": np.random.get_state(), "cpu": torch.random.get_rng_state(),
        "generator": np.random.default_rng(1), "state": np.random.RandomState(2),
        "torch": torch.Generator().get_state(),
    }  # fmt: skip
    return found


def modules() -> dict[str, object]:
    """Whole modules, wrapped and changed."""
    net = nn.Sequential(Block(), nn.Linear(4, 2))
    return {
        "whole.pt": net,
        "averaged.pt": torch.optim.swa_utils.AveragedModel(nn.Linear(2, 2)),
        "parallel.pt": nn.DataParallel(nn.Linear(2, 2)),
        "normed.pt": nn.utils.spectral_norm(nn.Linear(2, 2)),
        "quantised.pt": torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(2, 2)), {nn.Linear}),
        "tensors.pt": {
            "sparse": torch.eye(3).to_sparse(), "rows": torch.eye(3).to_sparse_csr(),
            "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
            "meta": torch.empty(3, device="meta"), "parameter": nn.Parameter(torch.ones(2)),
        },
        "lightning.ckpt": {
            "epoch": 1, "global_step": 3, "pytorch-lightning_version": "2.4.0", "state_dict": net.state_dict(),
            "loops": {"fit_loop": {"state_dict": {}}}, "lr_schedulers": [], "hyper_parameters": settings(),
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(1.0), "dirpath": "/x"}},
            "optimizer_states": [torch.optim.Adam(net.parameters()).state_dict()],
        },
    }  # fmt: skip


def main(folder: pathlib.Path) -> None:
    """Everything: by torch.save in both its forms, and by pickle in three protocols."""
    warnings.simplefilter("ignore")
    for name, value in {**training(), **modules()}.items():
        torch.save(value, folder / name)
        torch.save(value, folder / f"old_{name}", _use_new_zipfile_serialization=False)
    for name, value in settings().items():
        for protocol in (0, 2, 4):
            held = {"value": value, "weights": np.ones(3)}
            (folder / f"{name.replace(' ', '_')}_{protocol}.pkl").write_bytes(pickle.dumps(held, protocol))
    names = sorted(path.name for path in folder.iterdir())
    (folder / "expected.json").write_text(json.dumps(names))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
