"""Writes PyTorch models that repeat: residual stages, transformer layers, and state_dicts named as in the wild.

Run by `tests.corpus` under an interpreter with PyTorch: `python torch_blocks.py FOLDER`.
expected.json: file -> {"parameters": sum(p.numel())}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn


class Bottleneck(nn.Module):
    """As in torchvision: declared in an order that is not the order of calls."""

    def __init__(self, inner: int, outer: int, stride: int = 1, downsample: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer // 4, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer // 4)
        self.conv2 = nn.Conv2d(outer // 4, outer // 4, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer // 4)
        self.conv3 = nn.Conv2d(outer // 4, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Residual."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Four stages, narrow."""

    def __init__(self, depths: tuple[int, ...] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inner = 8
        for stage, depth in enumerate(depths, 1):
            outer = 16 * 2**stage
            setattr(self, f"layer{stage}", self._stage(inner, outer, depth, 1 if stage == 1 else 2))
            inner = outer
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inner, 10)

    @staticmethod
    def _stage(inner: int, outer: int, depth: int, stride: int) -> nn.Sequential:
        shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))
        first = Bottleneck(inner, outer, stride, shortcut)
        return nn.Sequential(first, *(Bottleneck(outer, outer) for _ in range(depth - 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images to classes."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def _bert() -> dict[str, torch.Tensor]:
    """The keys of a BERT for masked words."""
    d = 8
    found = {f"bert.embeddings.{name}_embeddings.weight": torch.zeros(rows, d) for name, rows in
             (("word", 30), ("position", 16), ("token_type", 2))}  # fmt: skip
    found |= _pair("bert.embeddings.LayerNorm", d)
    for at in range(12):
        layer = f"bert.encoder.layer.{at}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            found |= _pair(f"{layer}.{name}", d, d)
        found |= _pair(f"{layer}.attention.output.LayerNorm", d)
        found |= _pair(f"{layer}.intermediate.dense", 4 * d, d) | _pair(f"{layer}.output.dense", d, 4 * d)
        found |= _pair(f"{layer}.output.LayerNorm", d)
    found |= _pair("bert.pooler.dense", d, d) | _pair("cls.predictions.transform.dense", d, d)
    return found | _pair("cls.predictions.transform.LayerNorm", d)


def _gpt() -> dict[str, torch.Tensor]:
    """The keys of GPT-2."""
    d = 8
    found = {"transformer.wte.weight": torch.zeros(30, d), "transformer.wpe.weight": torch.zeros(16, d)}
    for at in range(24):
        layer = f"transformer.h.{at}"
        found |= (
            _pair(f"{layer}.ln_1", d) | _pair(f"{layer}.attn.c_attn", d, 3 * d) | _pair(f"{layer}.attn.c_proj", d, d)
        )
        found |= (
            _pair(f"{layer}.ln_2", d) | _pair(f"{layer}.mlp.c_fc", d, 4 * d) | _pair(f"{layer}.mlp.c_proj", 4 * d, d)
        )
    found |= _pair("transformer.ln_f", d)
    return found | {"lm_head.weight": torch.zeros(30, d)}


def _unknown() -> dict[str, torch.Tensor]:
    """Names that nobody has seen, twenty of each."""
    found = {}
    for at in range(20):
        found |= {f"zork.{at}.frob.gnarl": torch.zeros(3, 5), f"zork.{at}.quux": torch.zeros(7)}
    return found | {"omega": torch.zeros(4)}


def _pair(name: str, *shape: int) -> dict[str, torch.Tensor]:
    bias = shape[-1] if ".c_" in name else shape[0]
    return {f"{name}.weight": torch.zeros(*shape), f"{name}.bias": torch.zeros(bias)}


def main(folder: Path) -> None:
    """Write everything into `folder`."""
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32), 12, norm=nn.LayerNorm(16))
    modules: dict[str, nn.Module] = {"resnet": ResNet(), "deep": ResNet((3, 8, 36, 3)), "encoder": encoder}
    answers: dict[str, Any] = {}
    for name, module in modules.items():
        count = {"parameters": sum(parameter.numel() for parameter in module.parameters())}
        torch.save(module, folder / f"{name}_module.pt")
        torch.save(module.state_dict(), folder / f"{name}_state.pt")
        answers |= {f"{name}_module.pt": count, f"{name}_state.pt": count}
    torch.export.save(
        torch.export.export(modules["resnet"].eval(), (torch.zeros(2, 3, 64, 64),)), folder / "resnet.pt2"
    )
    answers["resnet.pt2"] = answers["resnet_module.pt"]
    for name, state in (("bert", _bert()), ("gpt", _gpt()), ("unknown", _unknown())):
        torch.save(state, folder / f"{name}_state.pt")
        answers[f"{name}_state.pt"] = {"parameters": sum(tensor.numel() for tensor in state.values())}
    (folder / "expected.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
