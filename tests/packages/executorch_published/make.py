"""Makes the programs in this folder with ExecuTorch itself: `make.py FOLDER PNET HEADS`.

PNET is the pinned pnet.pt of facenet-pytorch, HEADS the pinned alex.pth of lpips. Run by hand, with executorch 1.5.1,
torch 2.13 and the project's root on the path. expected.json: file -> name of a parameter -> its shape and the SHA-256
of its values, as PyTorch has them; each program whose weights are in it was run, and answers as PyTorch does.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from executorch.exir import ExecutorchBackendConfig, to_edge
from executorch.runtime import Runtime
from torch import nn
from torch.export import export

from tests.packages.published import EXAMPLES, published


def programs(pnet: Path, heads: Path) -> Iterator[tuple[str, nn.Module, torch.Tensor, ExecutorchBackendConfig]]:
    """(name, network, example, how it is written)."""
    torch.manual_seed(1)
    yield "pnet", published("pnet", pnet), torch.rand(EXAMPLES["pnet"]), ExecutorchBackendConfig()
    yield "espcn", published("espcn"), torch.rand(EXAMPLES["espcn"]), ExecutorchBackendConfig()
    apart = ExecutorchBackendConfig(external_constants=True)
    yield "espcn_data", published("espcn"), torch.rand(EXAMPLES["espcn"]), apart
    yield "heads_data", published("heads", heads), torch.rand(EXAMPLES["heads"]), apart


def runs(program: Path, network: nn.Module, example: torch.Tensor) -> bool:
    """Whether ExecuTorch's answer is PyTorch's."""
    found = Runtime.get().load_program(program).load_method("forward").execute([example])
    theirs = network(example)
    answers = theirs if isinstance(theirs, tuple) else (theirs,)
    return all(torch.allclose(one, other, atol=1e-5) for one, other in zip(found, answers, strict=True))


def main(folder: Path, pnet: Path, heads: Path) -> None:
    """Write the programs and what is known of them."""
    expected: dict[str, Any] = {}
    for name, network, example, config in programs(pnet, heads):
        program = to_edge(export(network, (example,), strict=True)).to_executorch(config)
        target = folder / f"{name}.pte"
        target.write_bytes(program.buffer)
        program.write_tensor_data_to_file(str(folder))
        data = next(folder.glob("_default_external_constant.ptd"), None)
        if data is not None:
            data = data.rename(folder / f"{name}.ptd")
        if data is None and not runs(target, network, example):
            raise RuntimeError(f"{name} answers otherwise")
        expected[f"{name}.pte"] = {
            key: [list(value.shape), hashlib.sha256(value.numpy().tobytes()).hexdigest()]
            for key, value in network.state_dict().items()
        }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
