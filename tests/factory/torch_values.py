"""Writes PyTorch files whose values lie in every way that torch.save has, and the values as PyTorch reads them.

<file>.npz: full name -> the values in C order (float32 for bfloat16, 8-bit floats and such). decoded.npz: every code of
each small type, decoded by PyTorch.
"""

from __future__ import annotations

import json
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(0)
OUT = Path(sys.argv[1])
SMALL = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")


def plain(tensor: torch.Tensor) -> np.ndarray:
    """Values in C order, in a type that numpy has."""
    tensor = tensor.detach()
    if tensor.is_quantized:
        tensor = tensor.int_repr()
    name = str(tensor.dtype).removeprefix("torch.")
    if name == "bfloat16" or name.startswith("float8"):
        tensor = tensor.to(torch.float32)
    return np.array(tensor.resolve_conj().numpy(), order="C")


def state() -> dict[str, torch.Tensor]:
    """Tensors of all types, and views of all kinds."""
    base = torch.randn(40, 30)
    every = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    odd = torch.randn(7, 5, 3)
    odd[0, 0] = torch.tensor([float("nan"), float("inf"), float("-inf")])
    found = {
        "contiguous": base,
        "transposed": torch.randn(30, 40).t(),
        "permuted": torch.randn(4, 5, 6, 7).permute(2, 0, 3, 1),
        "channels_last": torch.randn(8, 6, 3, 3).to(memory_format=torch.channels_last),
        "channels_last_3d": torch.randn(4, 3, 2, 3, 2).to(memory_format=torch.channels_last_3d),
        "sliced": torch.randn(50, 20)[3:40:2, 1::3],
        "expanded": torch.randn(1, 5).expand(6, 5),
        "overlapping": torch.arange(20.0).as_strided((6, 5), (2, 1)),
        "wide_transposed": torch.randn(900, 700).t(),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "odd": odd,
        "view": base[10:20],
        "bool": torch.rand(17) > 0.5,
        "complex": torch.randn(5, 4, dtype=torch.complex64),
        "complex_wide": torch.randn(5, 4, dtype=torch.complex128),
        "quantized": torch.quantize_per_tensor(torch.randn(6, 4), 0.1, 3, torch.quint8),
        "quantized_wide": torch.quantize_per_tensor(torch.randn(6, 4), 0.1, 3, torch.qint32),
    }
    for name in ("float16", "float64", "bfloat16"):
        found[name] = torch.randn(33, 9).to(getattr(torch, name))
    for name in ("int8", "int16", "int32", "int64", "uint8"):
        found[name] = torch.randint(0, 100, (33, 9)).to(getattr(torch, name))
    for name in SMALL:
        found[name] = every.view(getattr(torch, name))
    return found


def write(name: str, values: dict[str, torch.Tensor]) -> None:
    """The values of a file."""
    np.savez(OUT / f"{name}.npz", **{key: plain(value) for key, value in values.items()})


def big_endian(source: Path, target: Path) -> None:
    """The same archive as a machine with the other byte order writes it: every storage's elements turned round."""
    made = {"f": 4, "h": 2, "d": 8}
    widths = {str(place): made[letter] for place, letter in enumerate("fhd")}
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            key = name.rsplit("/", 1)[-1]
            if name.endswith("byteorder"):
                data = b"big"
            elif "/data/" in name:
                data = np.frombuffer(data, f"<u{widths[key]}").astype(f">u{widths[key]}").tobytes()
            new.writestr(name, data)


def deflated(source: Path, target: Path) -> None:
    """The same archive with compressed members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))


class Net(nn.Module):
    """Small, with every group of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pooled to one position."""
        return self.head(self.norm(self.conv(images)).mean((2, 3)))


def main() -> None:
    """All files."""
    tensors = state()
    torch.save(tensors, OUT / "views.pt")
    write("views.pt", tensors)
    deflated(OUT / "views.pt", OUT / "deflated.pt")
    write("deflated.pt", tensors)
    old = {key: value for key, value in tensors.items() if not key.startswith(("float8", "quantized"))}
    torch.save(old, OUT / "legacy.pt", _use_new_zipfile_serialization=False)
    write("legacy.pt", old)
    three = {"f": torch.randn(20, 6), "h": torch.randn(9, 5).half(), "d": torch.randn(7, 8).double().t()}
    torch.save(three, OUT / "little.pt")
    big_endian(OUT / "little.pt", OUT / "big.pt")
    write("big.pt", three)
    net = Net()
    net.conv.weight = nn.Parameter(net.conv.weight.detach().to(memory_format=torch.channels_last))
    net.norm.running_var.uniform_(0.5, 2)
    torch.save(net, OUT / "module.pt")
    torch.jit.script(net).save(OUT / "script.pt")
    torch.export.save(torch.export.export(net.eval(), (torch.randn(2, 3, 8, 8),)), OUT / "exported.pt2")
    for name in ("module.pt", "script.pt", "exported.pt2"):
        write(name, dict(net.state_dict()))
    every = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    np.savez(OUT / "decoded.npz", **{name: plain(every.view(getattr(torch, name))) for name in SMALL},
             bfloat16=plain(torch.arange(65536, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)))  # fmt: skip
    (OUT / "expected.json").write_text(json.dumps({"torch": torch.__version__}))


main()
