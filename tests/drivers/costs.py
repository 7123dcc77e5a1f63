"""Writes models and what the frameworks' own tools count for them, into the folder given.

The folder's name tells the framework (`costs_torch...`, `costs_keras...`). expected.json: name -> {"input": shape
without batch, "batch", numbers of each tool}. torch: `flop_counter` (torch.utils.flop_counter, total and by operation),
`torchinfo` (total mult-adds, and per layer), `shapes` (per module, from forward hooks). keras: `profiler` (TensorFlow's
float_operation statistics of a frozen graph, by operation).
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
OUT = Path(sys.argv[1])
EXPECTED: dict[str, Any] = {}


def torch_models() -> None:
    """Modules of every family: pickled where they are chains, exported where the graph is needed."""
    import torch
    from torch import nn

    torch.manual_seed(0)

    class Residual(nn.Module):
        """A bottleneck of ResNet with its shortcut."""

        def __init__(self, inputs: int, width: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
            self.relu = nn.ReLU()
            self.downsample = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Three convolutions and a shortcut."""
            y = self.relu(self.bn1(self.conv1(x)))
            y = self.conv3(self.relu(self.bn2(self.conv2(y))))
            return self.relu(y + self.downsample(x))

    class Inverted(nn.Module):
        """An inverted residual of MobileNetV2, and a grouped convolution."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.expand = nn.Conv2d(width, 6 * width, 1, bias=False)
            self.depthwise = nn.Conv2d(6 * width, 6 * width, 3, padding=1, groups=6 * width, bias=False)
            self.grouped = nn.Conv2d(6 * width, 6 * width, 3, padding=2, dilation=2, groups=4)
            self.project = nn.Conv2d(6 * width, width, 1, bias=False)
            self.act = nn.ReLU6()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Wide inside, with a shortcut around."""
            return x + self.project(self.grouped(self.act(self.depthwise(self.act(self.expand(x))))))

    class Text(nn.Module):
        """A recurrent classifier: embedding, two-way LSTM of two layers, GRU."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(50, 12)
            self.lstm = nn.LSTM(12, 10, num_layers=2, bidirectional=True, batch_first=True)
            self.gru = nn.GRU(20, 7, batch_first=True)
            self.out = nn.Linear(7, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """The last step decides."""
            x, _ = self.lstm(self.embedding(x))
            x, _ = self.gru(x)
            return self.out(x[:, -1])

    def stages() -> nn.Module:
        stem = [nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        blocks = [Residual(16, 8, 1), Residual(32, 16, 2), Residual(64, 32, 2)]
        return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))

    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    models: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
        "mlp": (nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 5)), (20,), "pickle"),
        "seed_cnn": (
            nn.Sequential(
                nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(32), nn.Flatten(),
                nn.Linear(32 * 64 * 64, 100), nn.ReLU(), nn.Linear(100, 10), nn.Softmax(dim=1),
            ), (1, 64, 64), "pickle",
        ),
        "positions": (nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 4)), (7, 8), "pickle"),
        "transposed": (
            nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False),
                nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1, groups=2), nn.Conv2d(4, 1, 1),
            ), (3, 20, 24), "pickle",
        ),
        "volumes": (
            nn.Sequential(
                nn.Conv3d(2, 4, (3, 3, 1), (2, 1, 1), (1, 1, 0)), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(4, 6, 2),
                nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, 2),
            ), (2, 9, 12, 10), "pickle",
        ),
        "waves": (
            nn.Sequential(
                nn.Conv1d(2, 8, 9, 4, 4), nn.ReLU(), nn.Sequential(nn.Conv1d(8, 8, 3, dilation=4, groups=8), nn.Tanh()),
                nn.ConvTranspose1d(8, 3, 5, 3), nn.AvgPool1d(4, ceil_mode=True), nn.Flatten(), nn.Linear(96, 6),
            ), (2, 200), "pickle",
        ),
        "resnet": (stages(), (3, 64, 64), "export"),
        "mobilenet": (nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), Inverted(8), Inverted(8)), (3, 32, 32), "export"),
        "transformer": (nn.Sequential(encoder, nn.Linear(32, 3)), (9, 32), "pickle"),
        "text": (Text(), (11,), "export"),
    }  # fmt: skip
    for name, (model, shape, how) in models.items():
        measure_torch(name, model, shape, how)
    random_convolutions()


def measure_torch(name: str, model: Any, shape: tuple[int, ...], how: str) -> None:
    """Saves one module, and asks both tools."""
    import torch
    import torchinfo
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    batch = 2
    x = torch.zeros((batch, *shape), dtype=torch.int64) if name == "text" else torch.zeros((batch, *shape))
    outputs: dict[str, list[int]] = {}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, path=path: outputs.update({path: list(first(out).shape)}))
        for path, module in model.named_modules()
    ]
    model.train()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(x)
    for hook in hooks:
        hook.remove()
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as plain:
        model(x)
    summary = torchinfo.summary(model, input_data=x, verbose=0)
    EXPECTED[name] = {
        "input": list(shape),
        "batch": batch,
        "how": how,
        "flop_counter": counter.get_total_flops(),
        "flop_counter_without_onednn": plain.get_total_flops(),
        "by_operation": {str(key): value for key, value in counter.get_flop_counts().get("Global", {}).items()},
        "torchinfo": summary.total_mult_adds,
        "torchinfo_layers": {
            path: info.macs
            for path, info in zip(paths_of(summary), summary.summary_list, strict=True)
            if info.is_leaf_layer
        },
        "outputs": outputs,
    }
    model.eval()
    if how == "pickle":
        torch.save(model, OUT / f"{name}.pt")
    elif how == "export":
        free = torch.export.Dim("batch", min=1, max=4096)
        torch.export.save(torch.export.export(model, (x,), dynamic_shapes=({0: free},)), OUT / f"{name}.pt2")


def first(value: Any) -> Any:
    """The first tensor of what a module returns."""
    return value[0] if isinstance(value, tuple) else value


def paths_of(summary: Any) -> list[str]:
    """The dotted path of every layer of a torchinfo summary."""
    found: list[str] = []
    for info in summary.summary_list:
        path, node = [], info
        while node is not None and node.parent_info is not None:
            path.append(node.var_name)
            node = node.parent_info
        found.append(".".join(reversed(path)))
    return found


def random_convolutions() -> None:
    """Convolutions and pools with random arguments, with the shapes and FLOPs that PyTorch gives."""
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    chance = random.Random(11)  # noqa: S311
    found = []
    while len(found) < 300:
        rank, transposed = chance.choice((1, 2, 2, 3)), chance.random() < 0.3
        groups = chance.choice((1, 1, 2, 3))
        arguments: dict[str, Any] = {
            "in_channels": groups * chance.randint(1, 4), "out_channels": groups * chance.randint(1, 4),
            "kernel_size": [chance.randint(1, 4) for _ in range(rank)],
            "stride": [chance.randint(1, 3) for _ in range(rank)],
            "padding": [chance.randint(0, 2) for _ in range(rank)],
            "dilation": [chance.randint(1, 2) for _ in range(rank)],
            "groups": groups, "bias": chance.random() < 0.5,
        }  # fmt: skip
        if transposed:
            arguments["output_padding"] = [chance.randint(0, 1) for _ in range(rank)]
        elif chance.random() < 0.15:
            arguments.update(padding="same", stride=[1] * rank)
        shape = [chance.randint(1, 3), arguments["in_channels"], *(chance.randint(3, 11) for _ in range(rank))]
        name = f"Conv{'Transpose' if transposed else ''}{rank}d"
        counter = FlopCounterMode(display=False)
        try:
            module = getattr(nn, name)(**arguments)
            with torch.no_grad(), counter:
                y = module(torch.zeros(shape))
        except (RuntimeError, ValueError):
            continue  # arguments that PyTorch refuses
        found.append({"type": name, "config": arguments, "input": shape, "output": list(y.shape),
                      "weights": {key: list(value.shape) for key, value in module.named_parameters()},
                      "flops": counter.get_total_flops()})  # fmt: skip
    EXPECTED["random"] = found


def keras_models() -> None:
    """Models of every family as JSON, with what TensorFlow's profiler counts."""
    import keras
    from keras import layers as k

    keras.utils.set_random_seed(0)
    sequence = keras.Input((9, 16))
    attended = k.MultiHeadAttention(4, 8, value_dim=6)(sequence, sequence)
    shared = k.Dense(6)
    left, right = keras.Input((10,)), keras.Input((10,))
    models = {
        "mlp": keras.Sequential([keras.Input((20,)), k.Dense(64), k.BatchNormalization(), k.ReLU(), k.Dense(5)]),
        "seed_cnn": keras.Sequential(
            [keras.Input((64, 64, 1)), k.Conv2D(32, 3, padding="same", activation="relu"), k.BatchNormalization(),
             k.Flatten(), k.Dense(100, activation="relu"), k.Dense(10, activation="softmax")]
        ),
        "convolutions": keras.Sequential(
            [keras.Input((30, 32, 4)), k.Conv2D(8, (3, 5), strides=2, groups=2),
             k.DepthwiseConv2D(3, depth_multiplier=2),
             k.SeparableConv2D(12, 3, padding="same", depth_multiplier=2), k.Conv2D(6, 3, dilation_rate=2),
             k.Conv2DTranspose(5, 4, strides=2, padding="same"), k.GlobalAveragePooling2D(), k.Dense(3)]
        ),
        "volumes": keras.Sequential(
         [keras.Input((9, 8, 7, 2)), k.Conv3D(4, 3, strides=(2, 1, 1)), k.Flatten(), k.Dense(2)]),
        "recurrent": keras.Sequential(
            [keras.Input((11, 12)), k.Bidirectional(k.LSTM(10, return_sequences=True, unroll=True)),
             k.GRU(7, unroll=True),
             k.Dense(3)]
        ),
        "attention": keras.Model(sequence, k.Dense(4)(k.LayerNormalization()(attended + sequence))),
        "shared": keras.Model([left, right], k.Concatenate()([shared(left), shared(right)])),
        "steps": keras.Sequential(
         [keras.Input((5, 12, 12, 3)), k.TimeDistributed(k.Conv2D(4, 3)), k.Flatten(), k.Dense(2)]),
        "resnet50": keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3)),
        "mobilenet_v2": keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), alpha=0.35),
    }  # fmt: skip
    for name, model in models.items():
        (OUT / f"{name}.json").write_text(model.to_json())
        EXPECTED[name] = {"batch": 2, "profiler": profiled(model, 2), "keras_get_flops": hasattr(model, "get_flops")}


def profiled(model: Any, batch: int) -> dict[str, int]:
    """FLOPs by operation that TensorFlow's profiler finds in the frozen graph of a model."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    inputs = [tf.TensorSpec((batch, *item.shape[1:]), tf.float32) for item in model.inputs]
    function = tf.function(lambda *given: model(given[0] if len(given) == 1 else list(given), training=False))
    _, definition = convert_variables_to_constants_v2_as_graph(function.get_concrete_function(*inputs))
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(definition, name="")
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        options = {**options, "output": "none", "select": ["float_ops"]}
        found = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    counts: dict[str, int] = {}
    node = found
    while node.children:
        node = node.children[0]
        counts[node.name] = node.float_ops
    return counts


def main() -> None:
    """Everything of one framework."""
    OUT.mkdir(parents=True, exist_ok=True)
    (torch_models if OUT.name.startswith("costs_torch") else keras_models)()
    (OUT / "expected.json").write_text(json.dumps(EXPECTED, indent=1))


if __name__ == "__main__":
    main()
