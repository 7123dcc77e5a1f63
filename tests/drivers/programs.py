"""Writes exported programs and what PyTorch holds in memory when it runs them, into the folder given.

expected.json: name -> {"batch", "kept": bytes of every storage that inputs and operations fill, dropouts as in
training, "live": most bytes of storages between the operation that makes them and the last that reads them}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.fx import Interpreter
from torch.utils import _pytree as pytree

OUT = Path(sys.argv[1])
BATCH = 3


class Functional(nn.Module):
    """Convolutions with functions between them, a permuted copy and a slice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(512, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A shortcut around the second convolution."""
        h = torch.relu(self.first(x))
        y = torch.nn.functional.gelu(self.second(h)) + h
        return self.head(y.permute(0, 2, 3, 1).reshape(y.shape[0], -1)[:, :512])


class Attention(nn.Module):
    """Attention with products of matrices, heads folded into the batch, a mask that has none, and steps in place."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.projection = nn.Linear(16, 48)
        self.drop = nn.Dropout(0.1)
        self.out = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Four heads of four."""
        batch, steps, width = x.shape
        q, k, v = (
            part.reshape(batch, steps, 4, 4).transpose(1, 2).reshape(batch * 4, steps, 4)
            for part in self.projection(self.norm(x)).chunk(3, -1)
        )
        scores = q @ k.transpose(1, 2) / 2
        scores += torch.ones(steps, steps).tril().log()
        mixed = self.drop(torch.softmax(scores, -1)) @ v
        joined = mixed.view(batch, 4, steps, 4).transpose(1, 2).contiguous().view(batch, steps, width)
        return self.out(joined).to(torch.float32).add_(x)


class Reader(nn.Module):
    """Embedding and GRU, the last step in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.gru = nn.GRU(8, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Probabilities."""
        return self.head(self.gru(self.words(x))[0][:, -1]).softmax(-1).to(torch.float16)


class Flat(nn.Module):
    """Nothing between its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layers one after the other."""
        return self.body(x)


class Open(nn.Module):
    """A layer and a function on sequences of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One value per step."""
        return torch.relu(self.head(x))


def main() -> None:
    """All programs, with a free batch."""
    OUT.mkdir(parents=True, exist_ok=True)
    image = torch.zeros(BATCH, 3, 8, 8)
    examples = {
        "functional": (Functional(), image), "attention": (Attention(), torch.zeros(BATCH, 7, 16)),
        "reader": (Reader(), torch.zeros(BATCH, 5, dtype=torch.int64)), "flat": (Flat(), image),
    }  # fmt: skip
    expected = {}
    for name, (module, example) in examples.items():
        program = torch.export.export(module.eval(), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, OUT / f"{name}.pt2")
        expected[name] = {"batch": BATCH, **measured(program, example)}
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("steps")}
    sequence = torch.export.export(Open().eval(), (torch.zeros(BATCH, 5, 4),), dynamic_shapes=(free,))
    torch.export.save(sequence, OUT / "open_steps.pt2")
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1))


class Watched(Interpreter):
    """Runs a graph and keeps every storage alive, so that an address is one storage."""

    def __init__(self, module: Any, weights: set[int]) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.weights = weights
        self.sizes: dict[int, int] = {}
        self.spans: dict[int, list[int]] = {}
        self.dropped = 0
        self.steps = 0

    def run_node(self, n: Any) -> Any:
        """One operation: what it reads and makes is in use now."""
        self.steps += n.op != "placeholder"
        found = super().run_node(n)
        read = [self.env[node] for node in n.all_input_nodes]
        for tensor in pytree.tree_leaves((read, found)):
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in self.weights:
                storage = tensor.untyped_storage()
                self.sizes[storage.data_ptr()] = storage.nbytes()
                self.spans.setdefault(storage.data_ptr(), [self.steps, 0])[1] = self.steps
        if "dropout" in str(n.target):
            self.dropped += found.nbytes
        return found


def measured(program: Any, example: torch.Tensor) -> dict[str, int]:
    """Bytes of the storages of one run."""
    held = {**program.state_dict, **program.constants}
    arguments = [held.get(spec.target, example) for spec in program.graph_signature.input_specs]
    weights = {tensor.untyped_storage().data_ptr() for tensor in held.values()}
    with torch.no_grad():
        run = Watched(program.graph_module, weights)
        run.run(*arguments)
    live = [
        sum(size for key, size in run.sizes.items() if run.spans[key][0] <= step <= run.spans[key][1])
        for step in range(run.steps + 1)
    ]
    return {"kept": sum(run.sizes.values()) + run.dropped, "live": max(live)}


if __name__ == "__main__":
    main()
