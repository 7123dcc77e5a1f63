"""Writes PaddlePaddle models of every kind with Paddle, and what Paddle says of each, into the folder given.

expected.json: name -> {"parameters": {name: {"shape", "dtype", "trainable"}}, "order": names as stored,
"operators": types}. `pir` is Paddle 3's JSON, `old` the protobuf of Paddle 1 and 2.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import paddle
from paddle import nn

warnings.filterwarnings("ignore")
OUT = Path(sys.argv[1])
EXPECTED: dict[str, dict] = {}
paddle.seed(0)


class Net(nn.Layer):
    """Every layer that has weights of a kind of its own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 8, 3)
        self.bn = nn.BatchNorm2D(8)
        self.dw = nn.Conv2D(8, 8, 3, groups=8, bias_attr=False)
        self.ct = nn.Conv2DTranspose(8, 4, 2, stride=2)
        self.pr = nn.PReLU(4)
        self.ln = nn.LayerNorm(4)
        self.fc = nn.Linear(4, 5)
        self.emb = nn.Embedding(10, 5)
        self.lstm = nn.LSTM(5, 6, direction="bidirect")
        self.gru = nn.GRU(12, 3)
        self.fc.weight.stop_gradient = True

    def forward(self, x, i):
        """All layers in a row."""
        y = self.ct(self.dw(nn.functional.relu(self.bn(self.conv(x)))))
        y = self.fc(self.ln(self.pr(y).mean([2, 3])))
        z, _ = self.lstm(self.emb(i))
        z, _ = self.gru(z)
        return y.sum() + z.sum()


def known(parameters) -> dict[str, dict]:
    """Shape, element type and training of arrays by name."""
    return {
        name: {"shape": list(one.shape), "dtype": str(one.dtype).rpartition(".")[2], "trainable": not one.stop_gradient}
        for name, one in parameters
    }


def dynamic() -> None:
    """Paddle 3's program, state_dicts, an optimizer, a checkpoint, a tensor in binary form."""
    net = Net()
    net.train()
    schedule = paddle.optimizer.lr.StepDecay(0.1, 3)
    adam = paddle.optimizer.Adam(parameters=net.parameters(), learning_rate=schedule)
    net(paddle.randn([2, 3, 16, 16]), paddle.zeros([2, 7], "int64")).backward()
    adam.step()
    net.eval()
    given = paddle.static.InputSpec
    spec = [given([None, 3, 16, 16], "float32", "x"), given([None, 7], "int64", "i")]
    paddle.jit.save(net, str(OUT / "pir"), input_spec=spec)
    held = [one for one in [*net.parameters(), *net.buffers()] if not one.name.endswith("__non_persistable")]
    names = {one.name: one for one in held}
    EXPECTED["pir"] = {"parameters": known(names.items()), "order": sorted(names)}
    for name, saved, options in (
        ("state", net.state_dict(), {}), ("state2", net.state_dict(), {"protocol": 2}),
        ("optimizer", adam.state_dict(), {}),
        ("checkpoint", {"model": net.state_dict(), "opt": adam.state_dict(), "epoch": 3}, {}),
    ):  # fmt: skip
        paddle.save(saved, str(OUT / f"{name}.pdparams"), **options)
    slots = {name: value for name, value in adam.state_dict().items() if hasattr(value, "shape")}
    EXPECTED["state"] = {"parameters": known(net.state_dict().items())}
    EXPECTED["optimizer"] = {"parameters": {name: {"shape": list(value.shape)} for name, value in slots.items()}}
    paddle.save(net.fc.weight, str(OUT / "tensor.bin"), use_binary_format=True)


def static() -> None:
    """The program and parameters of Paddle 2: for inference, for training, parameters one by one."""
    paddle.enable_static()
    with paddle.pir_utils.OldIrGuard():
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            given = paddle.static.data
            inputs = [given("x", [None, 3, 16, 16], "float32"), given("i", [None, 7], "int64")]
            outputs = old_layers(*inputs)
        runner = paddle.static.Executor(paddle.CPUPlace())
        runner.run(startup)
        held = main.all_parameters()
        paddle.static.save_inference_model(str(OUT / "old"), inputs, outputs, runner, program=main)
        paddle.static.save(main, str(OUT / "training"))
        paddle.static.io.save_vars(runner, str(OUT / "separate"), main_program=main, vars=held)
        (OUT / "separate" / "__model__").write_bytes(main.desc.serialize_to_string())
        everything = known((one.name, one) for one in held)
        used = {name: facts for name, facts in everything.items() if not name.startswith("lstm_0.")}
        EXPECTED["old"] = {"parameters": used, "order": sorted(used)}
        EXPECTED["training"] = {"parameters": everything}


def old_layers(x, i):
    """The layers of `Net`, as the old program knows them."""
    layers = [nn.Conv2D(3, 8, 3), nn.BatchNorm2D(8), nn.ReLU(), nn.Conv2D(8, 8, 3, groups=8, bias_attr=False),
              nn.Conv2DTranspose(8, 4, 2, stride=2), nn.PReLU(4)]  # fmt: skip
    for layer in layers:
        layer.eval()
        x = layer(x)
    fixed = nn.Linear(4, 5, weight_attr=paddle.ParamAttr(trainable=False))
    y = fixed(nn.LayerNorm(4)(paddle.mean(x, [2, 3])))
    lstm = nn.LSTM(5, 6, direction="bidirect")
    lstm.eval()
    z, _ = lstm(nn.Embedding(10, 5)(i))
    return [y, z]


dynamic()
static()
(OUT / "expected.json").write_text(json.dumps(EXPECTED))
