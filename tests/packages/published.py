"""Published networks, as the packages that ship their weights define them: for libraries whose files nobody ships.

Runs wherever PyTorch is; knows architectures and the pinned files, no format.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


class PNet(nn.Module):
    """The proposal network of MTCNN (Zhang et al. 2016), as facenet-pytorch has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3)
        self.prelu1 = nn.PReLU(10)
        self.pool1 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(10, 16, 3)
        self.prelu2 = nn.PReLU(16)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.prelu3 = nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.softmax4_1 = nn.Softmax(1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes and how likely they are."""
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return self.conv4_2(x), self.softmax4_1(self.conv4_1(x))


class RNet(nn.Module):
    """The refining network of MTCNN."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, 3)
        self.prelu1 = nn.PReLU(28)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = nn.Conv2d(28, 48, 3)
        self.prelu2 = nn.PReLU(48)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3 = nn.Conv2d(48, 64, 2)
        self.prelu3 = nn.PReLU(64)
        self.dense4 = nn.Linear(576, 128)
        self.prelu4 = nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.softmax5_1 = nn.Softmax(1)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A box and how likely it is."""
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.prelu3(self.conv3(self.pool2(self.prelu2(self.conv2(x)))))
        x = self.prelu4(self.dense4(x.permute(0, 3, 2, 1).flatten(1)))
        return self.dense5_2(x), self.softmax5_1(self.dense5_1(x))


class ESPCN(nn.Module):
    """Super-resolution by sub-pixels (Shi et al. 2016), twice as large; its weights are as they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2)
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 4, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The larger picture."""
        return self.shuffle(self.conv3(torch.tanh(self.conv2(torch.tanh(self.conv1(x))))))


class Head(nn.Module):
    """What LPIPS learns for one depth of a network: how much each channel counts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The distance at each place."""
        return self.model(x)


class Heads(nn.Module):
    """The learned part of LPIPS (Zhang et al. 2018) over AlexNet, as lpips has it."""

    def __init__(self) -> None:
        super().__init__()
        self.lin0, self.lin1, self.lin2, self.lin3, self.lin4 = (Head(one) for one in (64, 192, 384, 256, 256))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum of all, of the same map of 384 channels cut to each."""
        shallow = self.lin0(x[:, :64]) + self.lin1(x[:, :192]) + self.lin2(x)
        return shallow + self.lin3(x[:, :256]) + self.lin4(x[:, :256])


EXAMPLES = {"pnet": (1, 3, 24, 24), "rnet": (1, 3, 24, 24), "espcn": (1, 1, 12, 12), "heads": (1, 384, 2, 2)}
"""A shape of an input for each."""


def published(name: str, weights: Path | None = None) -> nn.Module:
    """A network for inference; `weights` is the package's file of its state_dict."""
    torch.manual_seed(0)
    network = {"pnet": PNet, "rnet": RNet, "espcn": ESPCN, "heads": Heads}[name]()
    if weights is not None:
        network.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    return network.eval()
