"""Converts the Keras models of `keras_conversions.py` to PyTorch by hand, proves it, and plants single mistakes.

Arguments: the folder of the Keras models, the folder to write to. `<name>.pt` is a pickled module and
`<name>_state.pt` its state_dict, converted right: the module's output is the Keras model's. `<name>-<mistake>.pt` are
state_dicts that differ from the right one by one mistake each, `resnet50.pt` a module without numbers of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.bench.resnet import resnet50
from tests.drivers.mistakes import MISTAKES, State

KERAS, OUT = Path(sys.argv[1]), Path(sys.argv[2])


class Arrays:
    """The weights of one Keras model, layer by layer in the order in which they were made."""

    def __init__(self, name: str) -> None:
        held = np.load(KERAS / f"{name}.npz")
        self.input, self.output = torch.from_numpy(held["input"]), torch.from_numpy(held["output"])
        self.layers: dict[str, list[np.ndarray]] = {}
        for key in held.files:
            if "/" in key:
                self.layers.setdefault(key.rsplit("/", 1)[0], []).append(held[key])

    def of(self, stem: str) -> list[list[np.ndarray]]:
        """The weights of all layers of one automatic name, in the order in which they were made."""
        numbers = {name: name.removeprefix(stem).removeprefix("_") or "0" for name in self.layers}
        named = [name for name, number in numbers.items() if name.startswith(stem) and number.isdecimal()]
        return [self.layers[name] for name in sorted(named, key=lambda name: int(numbers[name]))]


def put(state: State, **arrays: np.ndarray) -> None:
    """Arrays into a state by name; `__` stands for a dot."""
    for name, array in arrays.items():
        key = name.replace("__", ".")
        assert state[key].shape == array.shape, (key, state[key].shape, array.shape)
        state[key] = torch.from_numpy(np.ascontiguousarray(array))


def linear(state: State, name: str, weights: list[np.ndarray]) -> None:
    """(in, out) to (out, in)."""
    put(state, **{f"{name}.weight": weights[0].T, f"{name}.bias": weights[1]})


def conv(state: State, name: str, weights: list[np.ndarray]) -> None:
    """HWIO to OIHW, in any number of dimensions."""
    rank = weights[0].ndim
    put(state, **{f"{name}.weight": weights[0].transpose(rank - 1, rank - 2, *range(rank - 2))})
    if len(weights) > 1:
        put(state, **{f"{name}.bias": weights[1]})


def norm(state: State, name: str, weights: list[np.ndarray]) -> None:
    """Scale, offset, and the moving statistics of a BatchNormalization."""
    for key, array in zip(("weight", "bias", "running_mean", "running_var"), weights, strict=False):
        put(state, **{f"{name}.{key}": array})


# The models


class SeedCnn(nn.Sequential):
    """As `seed_cnn` there."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(32, momentum=0.85, eps=1e-3), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 8 * 6, 100), nn.ReLU(), nn.Dropout(0.3), nn.Linear(100, 100),
            nn.LeakyReLU(0.3), nn.Linear(100, 10), nn.Softmax(dim=1),
        )  # fmt: skip


def seed_cnn(state: State, arrays: Arrays) -> None:
    """The kernel after the Flatten gets its rows from (height, width, channel) to (channel, height, width)."""
    conv(state, "0", arrays.of("conv2d")[0])
    norm(state, "2", arrays.of("batch_normalization")[0])
    first, second, third = arrays.of("dense")
    linear(state, "5", [first[0].reshape(8, 6, 32, 100).transpose(2, 0, 1, 3).reshape(-1, 100), first[1]])
    linear(state, "8", second)
    linear(state, "10", third)


class Recurrent(nn.Module):
    """As `recurrent` there, with the two LSTMs in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(7, 8, num_layers=2, batch_first=True)
        self.gru = nn.GRU(8, 6, batch_first=True)
        self.both = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.last = nn.GRU(10, 4, batch_first=True, bidirectional=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last state of each direction goes into the head."""
        x = self.both(self.gru(self.lstm(x)[0])[0])[0]
        states = self.last(x)[1]
        return self.head(torch.cat([states[0], states[1]], dim=1))


def regate(array: np.ndarray, order: tuple[int, ...] = (1, 0, 2)) -> np.ndarray:
    """Blocks along the last axis in another order: Keras' z, r, h to PyTorch's r, z, n."""
    blocks = np.split(array, len(order), axis=-1)
    return np.concatenate([blocks[place] for place in order], axis=-1)


def lstm_cell(state: State, name: str, suffix: str, weights: list[np.ndarray]) -> None:
    """Keras' one bias into the first of two."""
    kernel, recurrent, bias = weights
    put(state, **{f"{name}.weight_ih_{suffix}": kernel.T, f"{name}.weight_hh_{suffix}": recurrent.T,
                  f"{name}.bias_ih_{suffix}": bias, f"{name}.bias_hh_{suffix}": np.zeros_like(bias)})  # fmt: skip


def gru_cell(state: State, name: str, suffix: str, weights: list[np.ndarray]) -> None:
    """Gates change their order, both rows of the bias are kept."""
    kernel, recurrent, bias = (regate(array) for array in weights)
    put(state, **{f"{name}.weight_ih_{suffix}": kernel.T, f"{name}.weight_hh_{suffix}": recurrent.T,
                  f"{name}.bias_ih_{suffix}": bias[0], f"{name}.bias_hh_{suffix}": bias[1]})  # fmt: skip


def recurrent(state: State, arrays: Arrays) -> None:
    """All recurrent layers."""
    for level, weights in enumerate(arrays.of("lstm")):
        lstm_cell(state, "lstm", f"l{level}", weights)
    gru_cell(state, "gru", "l0", arrays.of("gru")[0])
    both, last = arrays.of("bidirectional")
    for suffix, part in (("l0", slice(0, 3)), ("l0_reverse", slice(3, 6))):
        lstm_cell(state, "both", suffix, both[part])
        gru_cell(state, "last", suffix, last[part])
    linear(state, "head", arrays.of("dense")[0])


class Transformer(nn.Module):
    """As `transformer` there, of PyTorch's own encoder layers."""

    def __init__(self, depth: int = 12, width: int = 24, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, width)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(width, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Tokens to five numbers each."""
        return self.head(self.encoder(self.embed(x)))


def transformer(state: State, arrays: Arrays) -> None:
    """Query, key and value become one matrix."""
    put(state, **{"embed.weight": arrays.of("embedding")[0][0]})
    dense, norms = arrays.of("dense"), arrays.of("layer_normalization")
    for place, weights in enumerate(arrays.of("multi_head_attention")):
        name = f"encoder.layers.{place}"
        width = weights[0].shape[0]
        kernels = [weights[index].reshape(width, -1).T for index in (0, 2, 4)]
        put(state, **{
            f"{name}.self_attn.in_proj_weight": np.concatenate(kernels),
            f"{name}.self_attn.in_proj_bias": np.concatenate([weights[index].ravel() for index in (1, 3, 5)]),
        })  # fmt: skip
        linear(state, f"{name}.self_attn.out_proj", [weights[6].reshape(-1, width), weights[7]])
        linear(state, f"{name}.linear1", dense[2 * place])
        linear(state, f"{name}.linear2", dense[2 * place + 1])
        norm(state, f"{name}.norm1", norms[2 * place])
        norm(state, f"{name}.norm2", norms[2 * place + 1])
    linear(state, "head", dense[-1])


class Convolutions(nn.Module):
    """As `convolutions` there, the separable one as two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, groups=2, bias=False)
        self.depthwise = nn.Conv2d(8, 16, 3, groups=8)
        self.separable = nn.Sequential(nn.Conv2d(16, 16, (3, 5), groups=16, bias=False), nn.Conv2d(16, 12, 1))
        self.up = nn.ConvTranspose2d(12, 6, 3, stride=2)
        self.again = nn.ConvTranspose2d(6, 6, 3)
        self.norm = nn.GroupNorm(3, 6, eps=1e-3)
        self.line = nn.Conv1d(6, 5, 4)
        self.head = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Channels first inside, as PyTorch has them."""
        x = self.norm(self.again(self.up(self.separable(self.depthwise(self.grouped(x.permute(0, 3, 1, 2)))))))
        return self.head(self.line(x.flatten(2)).mean(2))


def convolutions(state: State, arrays: Arrays) -> None:
    """Kernels of every kind."""
    conv(state, "grouped", arrays.of("conv2d")[0])
    for name, (kernel, *rest) in (
        ("depthwise", arrays.of("depthwise_conv2d")[0]),
        ("separable.0", arrays.of("separable_conv2d")[0][:1]),
    ):
        height, width, channels, multiplier = kernel.shape
        conv(state, name, [kernel.reshape(height, width, 1, channels * multiplier), *rest])
    conv(state, "separable.1", arrays.of("separable_conv2d")[0][1:])
    for name, (kernel, bias) in zip(("up", "again"), arrays.of("conv2d_transpose"), strict=True):
        put(state, **{f"{name}.weight": kernel.transpose(3, 2, 0, 1), f"{name}.bias": bias})
    norm(state, "norm", arrays.of("group_normalization")[0])
    conv(state, "line", arrays.of("conv1d")[0])
    linear(state, "head", arrays.of("dense")[0])


class Folding(nn.Module):
    """As `folding` there, with the normalisations multiplied into the layers before them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.each = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=6)
        self.up, self.wide, self.head = nn.ConvTranspose2d(6, 5, 2), nn.Linear(5, 7), nn.Linear(7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Channels last outside, as in Keras."""
        x = torch.relu(self.each(torch.relu(self.first(x.permute(0, 3, 1, 2)))))
        return self.head(torch.relu(self.wide(torch.relu(self.up(x)).mean((2, 3)))))


def folding(state: State, arrays: Arrays) -> None:
    """Each kernel times gamma / sqrt(variance + epsilon); the bias is beta - mean times the same."""
    norms = arrays.of("batch_normalization")
    gammas = [norms[0][0], 1.0, norms[2][0], norms[3][0]]
    betas = [norms[0][1], norms[1][0], 0.0, norms[3][1]]
    kernels = [arrays.of(stem)[0][0] for stem in ("conv2d", "depthwise_conv2d", "conv2d_transpose", "dense")]
    kernels[1] = kernels[1].transpose(0, 1, 3, 2)
    kernels[2] = kernels[2].transpose(0, 1, 3, 2)
    for name, kernel, (*_, mean, variance), gamma, beta in zip(
        ("first", "each", "up", "wide"), kernels, norms, gammas, betas, strict=True
    ):
        scale = gamma / np.sqrt(variance + 1e-3)
        if name == "wide":
            linear(state, name, [kernel * scale, beta - mean * scale])
        elif name == "up":
            put(state, **{"up.weight": (kernel * scale).transpose(2, 3, 0, 1), "up.bias": beta - mean * scale})
        else:
            conv(state, name, [kernel * scale, beta - mean * scale])
    linear(state, "head", arrays.of("dense")[1])


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions around a shortcut, named and declared as in torchvision."""

    def __init__(self, channels: int, width: int, stride: int, *, first: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, stride), nn.BatchNorm2d(width, eps=1.001e-5)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width, eps=1.001e-5)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1), nn.BatchNorm2d(4 * width, eps=1.001e-5)
        self.downsample = nn.Sequential(
            nn.Conv2d(channels, 4 * width, 1, stride), nn.BatchNorm2d(4 * width, eps=1.001e-5)
        ) if first else nn.Identity()  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Three convolutions and the shortcut, added up."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class Resnet(nn.Module):
    """As `resnet` there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3), nn.BatchNorm2d(8, eps=1.001e-5)
        self.layer1 = nn.Sequential(Bottleneck(8, 8, 1, first=True), Bottleneck(32, 8, 1, first=False))
        self.layer2 = nn.Sequential(Bottleneck(32, 16, 2, first=True), Bottleneck(64, 16, 1, first=False))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Channels last outside, as in Keras."""
        x = torch.relu(self.bn1(self.conv1(x.permute(0, 3, 1, 2))))
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


def resnet(state: State, arrays: Arrays) -> None:
    """Keras made the shortcut of a first block before its other layers."""
    convs, norms = iter(arrays.of("conv2d")), iter(arrays.of("batch_normalization"))
    conv(state, "conv1", next(convs))
    norm(state, "bn1", next(norms))
    for stage in ("layer1", "layer2"):
        for block in (0, 1):
            name = f"{stage}.{block}"
            places = [f"{name}.downsample.0"] if block == 0 else []
            for place in [*places, f"{name}.conv1", f"{name}.conv2", f"{name}.conv3"]:
                conv(state, place, next(convs))
            places = [f"{name}.downsample.1"] if block == 0 else []
            for place in [*places, f"{name}.bn1", f"{name}.bn2", f"{name}.bn3"]:
                norm(state, place, next(norms))
    linear(state, "fc", arrays.of("dense")[0])


MODELS: dict[str, tuple[type[nn.Module], Callable[[State, Arrays], None]]] = {
    "seed_cnn": (SeedCnn, seed_cnn),
    "recurrent": (Recurrent, recurrent),
    "transformer": (Transformer, transformer),
    "convolutions": (Convolutions, convolutions),
    "resnet": (Resnet, resnet),
    "folding": (Folding, folding),
}


def convert(name: str) -> None:
    """One model: converted, proved, saved; and every mistake on its own."""
    made, fill = MODELS[name]
    model, arrays = made().eval(), Arrays(name)
    state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    fill(state, arrays)
    model.load_state_dict(state)
    given = arrays.input.permute(0, 3, 1, 2) if name == "seed_cnn" else arrays.input
    with torch.no_grad():
        torch.testing.assert_close(model(given), arrays.output, rtol=2e-3, atol=2e-4)
    torch.save(model, OUT / f"{name}.pt")
    torch.save(state, OUT / f"{name}_state.pt")
    if name == "seed_cnn":
        model[2].eps = 0.1
        torch.save(model, OUT / "seed_cnn-epsilon_setting.pt")
    for mistake, plant in MISTAKES[name].items():
        wrong = {key: tensor.clone() for key, tensor in state.items()}
        plant(wrong)
        torch.save(wrong, OUT / f"{name}-{mistake}.pt")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for each in MODELS:
        convert(each)
    torch.save(resnet50(), OUT / "resnet50.pt")
