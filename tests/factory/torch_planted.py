"""Writes trained PyTorch networks with one thing wrong in the values of each; runs under the PyTorch interpreter."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn


def trained() -> nn.Sequential:
    """A small network whose running statistics have seen data."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3),
        nn.BatchNorm2d(8, affine=False), nn.ReLU(), nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4),
    )  # fmt: skip
    with torch.no_grad():
        for _ in range(4):
            net(torch.rand(16, 3, 8, 8))
    return net


def fresh_norms(net: nn.Sequential) -> None:
    """Statistics as they were at the start."""
    net[1].reset_running_stats()
    net[6].reset_running_stats()


def small_gammas(net: nn.Sequential) -> None:
    """Two gammas of zero and one that is as good as zero."""
    net[1].weight.data[[2, 5]] = 0
    net[1].weight.data[7] = -1e-5


def negative_variance(net: nn.Sequential) -> None:
    """As when mean and variance are swapped."""
    net[1].running_var[3] = -0.5


def zero_variance(net: nn.Sequential) -> None:
    """A channel that never changed."""
    net[6].running_var[0] = 0


def zero_kernel(net: nn.Sequential) -> None:
    """A layer that was never filled; its bias may well be zero too."""
    net[9].weight.data.zero_()


def zero_channel(net: nn.Sequential) -> None:
    """Two filters that are dead."""
    net[3].weight.data[[1, 4]] = 0


def zero_bias(net: nn.Sequential) -> None:
    """As biases start: nothing to report."""
    net[9].bias.data.zero_()


def one_value(net: nn.Sequential) -> None:
    """Units that stay equal."""
    net[11].weight.data.fill_(0.25)


def copied(net: nn.Sequential) -> None:
    """One kernel in two places, stored twice."""
    net[5].weight.data.copy_(net[3].weight.data)


def tied(net: nn.Sequential) -> None:
    """One kernel in two places, stored once: nothing to report."""
    net[5].weight = net[3].weight


def not_a_number(net: nn.Sequential) -> None:
    """A NaN in a kernel."""
    net[9].weight.data[0, 0] = float("nan")


def infinite(net: nn.Sequential) -> None:
    """Infinities in a bias."""
    net[9].bias.data[:2] = torch.tensor([float("inf"), float("-inf")])


def huge(net: nn.Sequential) -> None:
    """A weight that has run away."""
    net[11].weight.data[0, 0] = -3e5


def half(net: nn.Sequential) -> None:
    """In half precision, with nothing wrong."""
    net.half()


PLANTS: list[Callable[[nn.Sequential], None]] = [
    fresh_norms, small_gammas, negative_variance, zero_variance, zero_kernel, zero_channel, zero_bias, one_value,
    copied, tied, not_a_number, infinite, huge, half,
]  # fmt: skip


def main(target: Path) -> None:
    """A module for each plant and one without, and all as state_dict."""
    torch.save(trained(), target / "healthy.pt")
    for plant in PLANTS:
        net = trained()
        plant(net)
        torch.save(net, target / f"{plant.__name__}.pt")
        torch.save(net.state_dict(), target / f"{plant.__name__}_state.pt")
    words = nn.Embedding(1200, 8)
    stored_twice = nn.Sequential(words, nn.LSTM(8, 8), nn.Linear(8, 1200, bias=False))
    stored_twice[2].weight.data.copy_(words.weight.data)
    torch.save(stored_twice, target / "tied_but_stored_twice.pt")
    (target / "expected.json").write_text(json.dumps([plant.__name__ for plant in PLANTS]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
