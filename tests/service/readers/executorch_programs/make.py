"""Makes the programs in this folder with ExecuTorch itself, and writes what its own deserializer says of them.

Run by hand, `make.py FOLDER`, with executorch 1.5.1 and torch 2.13: no other part of the tests needs ExecuTorch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import ExecutorchBackendConfig, to_edge, to_edge_transform_and_lower
from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.passes.init_mutable_pass import InitializedMutableBufferPass
from executorch.exir.schema import Tensor
from torch import nn
from torch.export import export
from torch.export.experimental import _export_forward_backward


class Net(nn.Module):
    """A convolution, a normalisation, a table, two linear layers (one used twice) and a buffer that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 5)
        self.emb = nn.Embedding(7, 4)
        self.fc2 = nn.Linear(5, 5, bias=False)
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """Any use of all of them."""
        self.count.add_(1.0)
        y = torch.relu(self.bn(self.conv(x))).mean((2, 3)) + self.emb(index)
        return self.fc2(self.fc2(self.fc(y))) + self.count


class Choice(nn.Module):
    """Two linear layers, of which one runs."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """By the sum of the input."""
        return torch.cond(x.sum() > 0, self.a, self.b, (x,))


class Loss(nn.Module):
    """A linear layer with its loss, to be trained on a device."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The loss."""
        return self.loss(self.fc(x), y)


def programs() -> Iterator[tuple[str, Any]]:
    """(name, program)."""
    torch.manual_seed(0)
    net, shown = Net().eval(), (torch.randn(1, 3, 8, 8), torch.tensor([1]))
    exported = export(net, shown, strict=True)
    yield "plain", to_edge(exported).to_executorch()
    begun = ExecutorchBackendConfig(passes=[InitializedMutableBufferPass(["count"])])
    yield "mutable", to_edge(exported).to_executorch(begun)
    yield "external", to_edge(exported).to_executorch(ExecutorchBackendConfig(external_constants=True))
    yield "xnnpack", to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    example = (torch.randn(1, 4),)
    yield "choice", to_edge(export(Choice(), example, strict=True)).to_executorch()
    linear = nn.Linear(4, 4)
    both = {"encode": export(linear, example, strict=True), "decode": export(linear, (torch.randn(2, 4),), strict=True)}
    yield "methods", to_edge(both).to_executorch()
    loss = export(Loss(), (torch.randn(1, 3), torch.ones(1, dtype=torch.int64)), strict=True)
    yield "train", to_edge(_export_forward_backward(loss)).to_executorch()


def facts(data: bytes) -> dict[str, Any]:
    """What ExecuTorch reads back."""
    file = deserialize_pte_binary(data)
    constants = file.program.constant_buffer
    return {
        plan.name: {
            "operators": [f"{one.name}.{one.overload}".rstrip(".") for one in plan.operators],
            "delegates": [one.id for one in plan.delegates],
            "instructions": [type(one.instr_args).__name__ for chain in plan.chains for one in chain.instructions],
            "tensors": {
                str(index): tensor(value.val, constants)
                for index, value in enumerate(plan.values)
                if isinstance(value.val, Tensor)
            },
        }
        for plan in file.program.execution_plan
    }


def tensor(value: Tensor, constants: list[Any]) -> dict[str, Any]:
    """One tensor; a constant's data as hexadecimal text."""
    extra = value.extra_tensor_info
    external = extra is not None and extra.location == 1
    stored = value.data_buffer_idx > 0 and value.allocation_info is None and not external
    return {
        "type": int(value.scalar_type), "sizes": value.sizes, "requires_grad": value.requires_grad,
        "key": extra.fully_qualified_name if extra is not None else "", "external": external,
        "data": bytes(constants[value.data_buffer_idx].storage).hex() if stored else None,
    }  # fmt: skip


def main(folder: Path) -> None:
    """Write the programs and what is known of them."""
    expected = {}
    for name, program in programs():
        data = program.buffer
        (folder / f"{name}.pte").write_bytes(data)
        program.write_tensor_data_to_file(str(folder))
        expected[f"{name}.pte"] = facts(data)
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
