"""Writes well-known architectures as plain PyTorch modules, narrow and fresh; runs under the PyTorch interpreter.

Each is written as its paper or its reference implementation has it, with the usual containers, so that what is in
`nn.Sequential` there is so here.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everyone writes it

warnings.filterwarnings("ignore")


def vgg() -> nn.Module:
    """VGG11 with BatchNormalization, as torchvision has it (convolutions with bias)."""

    class VGG(nn.Module):
        def __init__(self):
            super().__init__()
            layers, channels = [], 3
            for width in (8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64, "M"):
                if width == "M":
                    layers.append(nn.MaxPool2d(2, 2))
                else:
                    layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                    channels = width
            self.features = nn.Sequential(*layers)
            self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
            self.classifier = nn.Sequential(
                nn.Linear(64 * 49, 256), nn.ReLU(True), nn.Dropout(), nn.Linear(256, 256), nn.ReLU(True), nn.Dropout(),
                nn.Linear(256, 10),
            )  # fmt: skip

        def forward(self, x):
            return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))

    return VGG()


def alexnet() -> nn.Module:
    """AlexNet as torchvision has it."""

    class AlexNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 16, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
                nn.Conv2d(16, 32, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
                nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(48, 32, 3, padding=1),
                nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            )  # fmt: skip
            self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
            self.classifier = nn.Sequential(
                nn.Dropout(), nn.Linear(32 * 36, 128), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(128, 128),
                nn.ReLU(inplace=True), nn.Linear(128, 10),
            )  # fmt: skip

        def forward(self, x):
            return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))

    return AlexNet()


class Bottleneck(nn.Module):
    """The residual block of ResNet-50."""

    def __init__(self, inputs, width, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != width * 4:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, width * 4, 1, stride, bias=False), nn.BatchNorm2d(width * 4)
            )

    def forward(self, x):
        y = self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))
        return self.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


def resnet() -> nn.Module:
    """ResNet-50's stem and stages, one or two blocks each."""

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 7, 2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            self.relu = nn.ReLU(inplace=True)
            self.maxpool = nn.MaxPool2d(3, 2, padding=1)
            self.layer1 = nn.Sequential(Bottleneck(16, 8), Bottleneck(32, 8))
            self.layer2 = nn.Sequential(Bottleneck(32, 16, 2), Bottleneck(64, 16))
            self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            x = self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x))))))
            return self.fc(torch.flatten(self.avgpool(x), 1))

    return ResNet()


def mobilenet_v2() -> nn.Module:
    """Inverted residuals with linear bottlenecks; epsilon and momentum as TensorFlow's port has them."""

    def unit(inputs, outputs, kernel=3, stride=1, groups=1):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01), nn.ReLU6(inplace=True),
        )  # fmt: skip

    class InvertedResidual(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            wide = inputs * 6
            self.use_res_connect = stride == 1 and inputs == outputs
            self.conv = nn.Sequential(
                unit(inputs, wide, 1), unit(wide, wide, 3, stride, wide), nn.Conv2d(wide, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
            )  # fmt: skip

        def forward(self, x):
            return x + self.conv(x) if self.use_res_connect else self.conv(x)

    return nn.Sequential(
        unit(3, 16, 3, 2), InvertedResidual(16, 16, 1), InvertedResidual(16, 24, 2), unit(24, 128, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 1000),
    )  # fmt: skip


def densenet() -> nn.Module:
    """Two dense layers and a transition; dropout behind the convolution, as in the reference."""

    class DenseLayer(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
            self.conv1 = nn.Conv2d(inputs, 32, 1, bias=False)
            self.norm2, self.relu2 = nn.BatchNorm2d(32), nn.ReLU(inplace=True)
            self.conv2 = nn.Conv2d(32, 8, 3, padding=1, bias=False)

        def forward(self, x):
            y = self.conv2(self.relu2(self.norm2(self.conv1(self.relu1(self.norm1(x))))))
            return torch.cat([x, F.dropout(y, 0.1, self.training)], 1)

    return nn.Sequential(
        nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
        DenseLayer(16), DenseLayer(24),
        nn.Sequential(nn.BatchNorm2d(32), nn.ReLU(inplace=True), nn.Conv2d(32, 16, 1, bias=False), nn.AvgPool2d(2, 2)),
        nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10),
    )  # fmt: skip


def unet() -> nn.Module:
    """The double convolutions that most implementations of U-Net use, with bias."""

    def double(inputs, outputs):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        )  # fmt: skip

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.inc, self.down = double(3, 8), nn.Sequential(nn.MaxPool2d(2), double(8, 16))
            self.up, self.conv = nn.ConvTranspose2d(16, 8, 2, 2), double(16, 8)
            self.outc = nn.Conv2d(8, 2, 1)

        def forward(self, x):
            first = self.inc(x)
            return self.outc(self.conv(torch.cat([first, self.up(self.down(first))], 1)))

    return UNet()


def dcgan() -> nn.Module:
    """Generator and discriminator of PyTorch's DCGAN tutorial."""
    generator = nn.Sequential(
        nn.ConvTranspose2d(16, 32, 4, 1, 0, bias=False), nn.BatchNorm2d(32), nn.ReLU(True),
        nn.ConvTranspose2d(32, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(True),
        nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    discriminator = nn.Sequential(
        nn.Conv2d(3, 16, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(16, 32, 4, 2, 1, bias=False),
        nn.BatchNorm2d(32), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(32, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
    )  # fmt: skip
    return nn.ModuleDict({"generator": generator, "discriminator": discriminator})


class SelfAttention(nn.Module):
    """Attention of its own, with four linear projections."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x):
        parts = [f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.query, self.key, self.value)]
        return self.out(F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2))


def bert() -> nn.Module:
    """A BERT: embeddings, post-norm blocks, pooler, and a masked-language head that is tied."""

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.attention, self.norm1 = SelfAttention(width, 4), nn.LayerNorm(width, eps=1e-12)
            self.intermediate, self.output = nn.Linear(width, width * 4), nn.Linear(width * 4, width)
            self.norm2, self.dropout = nn.LayerNorm(width, eps=1e-12), nn.Dropout(0.1)

        def forward(self, x):
            x = self.norm1(x + self.dropout(self.attention(x)))
            return self.norm2(x + self.dropout(self.output(F.gelu(self.intermediate(x)))))

    class Bert(nn.Module):
        def __init__(self, width=32):
            super().__init__()
            self.words, self.positions = nn.Embedding(3000, width), nn.Embedding(512, width)
            self.types, self.norm = nn.Embedding(2, width), nn.LayerNorm(width, eps=1e-12)
            self.layer = nn.ModuleList([Block(width) for _ in range(3)])
            self.transform, self.transform_norm = nn.Linear(width, width), nn.LayerNorm(width, eps=1e-12)
            self.decoder = nn.Linear(width, 3000)
            self.decoder.weight = self.words.weight

    return Bert()


def gpt() -> nn.Module:
    """A GPT: learned positions of 1,024 rows, pre-norm blocks whose inner width is 1,024 too, a tied head."""

    class Block(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(width), SelfAttention(width, 4), nn.LayerNorm(width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
            )

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class GPT(nn.Module):
        def __init__(self, width=256):
            super().__init__()
            self.wte, self.wpe = nn.Embedding(2048, width), nn.Embedding(1024, width)
            self.h = nn.ModuleList([Block(width) for _ in range(2)])
            self.ln_f, self.lm_head = nn.LayerNorm(width), nn.Linear(width, 2048, bias=False)
            self.lm_head.weight = self.wte.weight

    return GPT()


def vit() -> nn.Module:
    """A vision transformer on nn.TransformerEncoder, which copies its one layer."""

    class ViT(nn.Module):
        def __init__(self, width=32):
            super().__init__()
            self.class_token = nn.Parameter(torch.zeros(1, 1, width))
            self.positions = nn.Parameter(torch.empty(1, 17, width).normal_(std=0.02))
            self.conv_proj = nn.Conv2d(3, width, 8, 8)
            layer = nn.TransformerEncoderLayer(width, 4, 64, batch_first=True, norm_first=True, activation="gelu")
            self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
            self.ln, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 10)

    return ViT()


def seq2seq() -> nn.Module:
    """nn.Transformer between two vocabularies, with an output layer of its own as in PyTorch's tutorial."""

    class Seq2Seq(nn.Module):
        def __init__(self, width=32):
            super().__init__()
            self.source, self.target = nn.Embedding(1500, width), nn.Embedding(1200, width)
            self.transformer = nn.Transformer(width, 4, 2, 2, 64)
            self.generator = nn.Linear(width, 1200)

    return Seq2Seq()


def lstm_language_model() -> nn.Module:
    """The word language model of PyTorch's examples, not tied."""

    class RNNModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.encoder = nn.Dropout(0.2), nn.Embedding(1000, 24)
            self.rnn, self.decoder = nn.LSTM(24, 24, 2, dropout=0.2), nn.Linear(24, 1000)

    return RNNModel()


def mlp_mixer() -> nn.Module:
    """Token and channel mixing with two linear layers around a GELU each."""

    def mlp(width, inner):
        return nn.Sequential(
            nn.Linear(width, inner), nn.GELU(), nn.Dropout(0.1), nn.Linear(inner, width), nn.Dropout(0.1)
        )

    return nn.Sequential(
        nn.Conv2d(3, 32, 8, 8), nn.Flatten(2), nn.Sequential(nn.LayerNorm(16), mlp(16, 32)),
        nn.ModuleDict({"channels": mlp(32, 64)}),
    )  # fmt: skip


def pointnet() -> nn.Module:
    """The shared MLP of PointNet: convolutions of width 1 and linear layers with bias before BatchNormalization."""
    return nn.ModuleDict({
        "points": nn.Sequential(nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 64, 1),
                                nn.BatchNorm1d(64), nn.AdaptiveMaxPool1d(1), nn.Flatten()),
        "classes": nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16), nn.Dropout(0.3),
                                 nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4)),
    })  # fmt: skip


def style_transfer() -> nn.Module:
    """The transformation network of fast style transfer: reflection padding, instance norm that learns."""

    def unit(inputs, outputs, kernel, stride):
        return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inputs, outputs, kernel, stride),
                nn.InstanceNorm2d(outputs, affine=True), nn.ReLU()]  # fmt: skip

    return nn.Sequential(*unit(3, 8, 9, 1), *unit(8, 16, 3, 2), nn.Upsample(scale_factor=2), *unit(16, 8, 3, 1),
                         nn.Conv2d(8, 3, 9))  # fmt: skip


def lora() -> nn.Module:
    """A low-rank adapter beside a frozen linear layer: the B starts at zero."""

    class LoRALinear(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(64, 64).requires_grad_(False)
            self.lora_A, self.lora_B = nn.Linear(64, 4, bias=False), nn.Linear(4, 64, bias=False)
            nn.init.zeros_(self.lora_B.weight)

    return LoRALinear()


def factorized() -> nn.Module:
    """A linear layer split into a low-rank product, as compression does."""
    return nn.Sequential(nn.Linear(64, 8, bias=False), nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 10))


def autoencoder() -> nn.Module:
    """Linear layers around a narrow code without an activation, as most tutorials have it."""
    return nn.Sequential(
        nn.Linear(784, 128), nn.ReLU(True), nn.Linear(128, 3), nn.Linear(3, 128), nn.ReLU(True), nn.Linear(128, 784),
        nn.Tanh(),
    )  # fmt: skip


MODELS = [
    vgg, alexnet, resnet, mobilenet_v2, densenet, unet, dcgan, bert, gpt, vit, seq2seq, lstm_language_model, mlp_mixer,
    pointnet, style_transfer, lora, factorized, autoencoder,
]  # fmt: skip


def main(target: Path) -> None:
    """A state_dict of each, a script where one can be made, and the module itself where its class can be pickled."""
    torch.manual_seed(0)
    for make in MODELS:
        model = make()
        torch.save(model.state_dict(), target / f"{make.__name__}_state.pt")
        _as_module(model, target / f"{make.__name__}.pt")
    for make in (vgg, alexnet, resnet, mobilenet_v2, densenet, unet):
        exported = torch.export.export(make().eval(), (torch.rand(2, 3, 64, 64),))
        torch.export.save(exported, target / f"{make.__name__}.pt2")
    (target / "expected.json").write_text(json.dumps([make.__name__ for make in MODELS]))


def _as_module(model: nn.Module, path: Path) -> None:
    """Pickle a module whose classes are local to a function: under names that only a reader needs."""
    for module in model.modules():
        kind = type(module)
        if "<locals>" in kind.__qualname__:
            kind.__qualname__ = kind.__name__
            setattr(sys.modules["__main__"], kind.__name__, kind)
    torch.save(model, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
