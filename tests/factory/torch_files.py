"""Writes PyTorch files of every kind with PyTorch itself, and what PyTorch says of each, into the folder given.

expected.json: file name -> {"format", "weights": {full name: {shape, dtype, trainable, buffer, persistent}},
"types": {path: class}, "parameters", "trainable", "buffers", "ties": [[first, other]]}. Keys that a file cannot
answer are left out.
"""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct
import sys
import tarfile
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(0)
OUT = Path(sys.argv[1])
EXPECTED: dict[str, dict] = {}


# Models


def seed_cnn() -> nn.Module:
    """The CNN of the golden numbers (seed2_cnn_torch)."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(32, momentum=0.85), nn.Flatten(),
        nn.Linear(32 * 64 * 64, 100), nn.ReLU(), nn.Linear(100, 10), nn.Softmax(dim=1),
    )  # fmt: skip


class Block(nn.Module):
    """A residual block of the user's own class, with a shared activation and a fleeting buffer."""

    def __init__(self, width: int, *, scale: float = 0.5) -> None:
        super().__init__()
        self.scale = scale
        self.names = ("a", "b")
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.act = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width * 2, 1)
        self.act2 = self.act
        self.register_buffer("offsets", torch.arange(4), persistent=False)
        self.register_buffer("missing", None)
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A block without much sense."""
        return self.conv2(self.act2(self.act(self.bn1(self.conv1(x))) * self.scale)) + self.offsets.sum()


class Net(nn.Module):
    """Custom classes, tied and frozen weights, a shared module, a parameter on the root."""

    def __init__(self) -> None:
        super().__init__()
        self.cls = nn.Parameter(torch.zeros(1, 8))
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.block = Block(8)
        self.again = nn.ModuleList([nn.Linear(16, 16)])
        self.shared = self.again[0]
        self.embed = nn.Linear(16, 16, bias=False)
        self.head = nn.Linear(16, 5)
        self.tied = nn.Linear(16, 16)
        self.tied.weight = self.embed.weight
        self.stem.weight.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Through everything; one layer under two names, one called twice."""
        x = self.block(self.stem(x)).mean((2, 3))
        x = self.shared(self.again[0](x))
        return self.head(self.tied(self.tied(self.embed(x)))) + self.cls.sum()


class Recurrent(nn.Module):
    """Every recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 6, num_layers=2, bidirectional=True)
        self.projected = nn.LSTM(5, 6, proj_size=3)
        self.gru = nn.GRU(5, 7, bias=False)
        self.rnn = nn.RNN(5, 4)
        self.lstm_cell = nn.LSTMCell(5, 4)
        self.gru_cell = nn.GRUCell(5, 4)


class Attention(nn.Module):
    """Attention in its forms."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.MultiheadAttention(8, 2)
        self.wide = nn.MultiheadAttention(8, 2, kdim=4, vdim=6, add_bias_kv=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16)
        self.stack = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2)


class Assorted(nn.Module):
    """Normalisations with every switch, embeddings, transposed and grouped convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(6)
        self.bn_plain = nn.BatchNorm2d(6, affine=False)
        self.bn_untracked = nn.BatchNorm2d(6, track_running_stats=False)
        self.bn_nothing = nn.BatchNorm2d(6, affine=False, track_running_stats=False)
        self.layer_norm = nn.LayerNorm((3, 4))
        self.layer_norm1 = nn.LayerNorm(4)
        self.group_norm = nn.GroupNorm(2, 6)
        self.instance = nn.InstanceNorm2d(6, affine=True)
        self.embedding = nn.Embedding(11, 4)
        self.bag = nn.EmbeddingBag(11, 4)
        self.up = nn.ConvTranspose2d(8, 4, 2)
        self.square_up = nn.ConvTranspose2d(4, 4, 2)
        self.conv1 = nn.Conv1d(4, 6, 3)
        self.conv3 = nn.Conv3d(2, 6, 3, groups=2)
        self.depthwise = nn.Conv2d(6, 6, 3, groups=6)
        self.prelu = nn.PReLU(3)
        self.bilinear = nn.Bilinear(3, 4, 5)
        self.table = nn.ParameterDict({"a": nn.Parameter(torch.zeros(2)), "b": nn.Parameter(torch.zeros(3))})


def old_norms() -> nn.Module:
    """Hook forms of weight_norm, spectral_norm and pruning, which can be pickled whole."""
    from torch.nn.utils import prune, spectral_norm, weight_norm

    return nn.Sequential(
        weight_norm(nn.Conv1d(3, 4, 3)),
        spectral_norm(nn.Linear(4, 5)),
        prune.random_unstructured(nn.Linear(5, 2), "weight", 0.5),
    )


def new_norms() -> nn.Module:
    """Parametrisations, which only a state_dict can hold."""
    from torch.nn.utils import parametrizations

    return nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 4)), parametrizations.spectral_norm(nn.Linear(4, 5)))


def types_zoo() -> nn.Module:
    """Element types and tensor forms as buffers and parameters."""
    zoo = nn.Module()
    for dtype in (
        "bfloat16",
        "float16",
        "float64",
        "complex64",
        "float8_e4m3fn",
        "int8",
        "uint8",
        "int64",
        "bool",
        "uint16",
    ):
        zoo.register_buffer(f"of_{dtype}", torch.zeros(2, 3).to(getattr(torch, dtype)))
    zoo.register_buffer("sparse", torch.eye(4).to_sparse())
    zoo.register_buffer("csr", torch.eye(4).to_sparse_csr())
    zoo.register_buffer("meta", torch.empty(7, 2, device="meta"))
    zoo.register_buffer("quantized", torch.quantize_per_tensor(torch.zeros(3, 3), 0.1, 2, torch.quint8))
    zoo.register_buffer(
        "channels", torch.quantize_per_channel(torch.zeros(2, 3), torch.ones(2), torch.zeros(2).long(), 0, torch.qint8)
    )
    zoo.register_buffer("expanded", torch.zeros(1, 5).expand(100, 5))
    zoo.register_buffer("scalar", torch.tensor(3.0))
    zoo.register_buffer("empty", torch.zeros(0, 4))
    zoo.register_buffer("turned", torch.zeros(3, 5).t())
    zoo.stated = nn.Parameter(torch.zeros(2))
    zoo.stated.note = "a parameter with an attribute of its own"
    return zoo


# What PyTorch says


def shape_of(tensor: torch.Tensor) -> list[int]:
    """Sizes as JSON."""
    return list(tensor.shape)


def dtype_of(tensor: torch.Tensor) -> str:
    """`float32` for torch.float32."""
    return str(tensor.dtype).removeprefix("torch.")


def from_module(module: nn.Module) -> dict:
    """Everything a module says of itself: names with repeats, classes, who learns."""
    weights = {}
    persistent = set(module.state_dict().keys())
    for name, tensor in module.named_parameters(remove_duplicate=True):
        lazy = isinstance(tensor, nn.parameter.UninitializedTensorMixin)
        weights[name] = {
            "shape": None if lazy else shape_of(tensor),
            "dtype": None if lazy else dtype_of(tensor),
            "trainable": tensor.requires_grad,
            "buffer": False,
        }
    for name, tensor in module.named_buffers():
        weights[name] = {
            "shape": shape_of(tensor),
            "dtype": dtype_of(tensor),
            "trainable": False,
            "buffer": True,
            "persistent": name in persistent,
        }
    types = {name: type(child).__name__ for name, child in module.named_modules() if name}
    return {"weights": weights, "types": types, **counts(module)}


def counts(module: nn.Module) -> dict:
    """Totals over unique parameters, as `sum(p.numel() for p in model.parameters())` counts."""
    known = [p for p in module.parameters() if not isinstance(p, nn.parameter.UninitializedTensorMixin)]
    return {
        "parameters": sum(p.numel() for p in known),
        "trainable": sum(p.numel() for p in known if p.requires_grad),
        "buffers": sum(b.numel() for b in module.buffers()),
    }


def from_state(state: dict) -> dict:
    """What a state_dict says: names, shapes, types; and which names share a storage."""
    weights, first, ties = {}, {}, []
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        weights[name] = {"shape": shape_of(tensor), "dtype": dtype_of(tensor)}
        if tensor.layout == torch.strided and not tensor.is_meta and tensor.numel():
            key = (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride())
            if key in first:
                ties.append([first[key], name])
            first.setdefault(key, name)
    return {"weights": weights, "ties": ties}


def put(name: str, value: object, expected: dict, *, legacy: bool = False) -> None:
    """Save `value` and note what is expected of it."""
    torch.save(value, OUT / name, _use_new_zipfile_serialization=not legacy)
    EXPECTED[name] = {"format": "torch_legacy" if legacy else "torch_zip", **expected}


# Files


def write_plain() -> None:
    """Each model as a module and as a state_dict, new and old container."""
    models = {
        "seed": seed_cnn(),
        "net": Net(),
        "recurrent": Recurrent(),
        "attention": Attention(),
        "assorted": Assorted(),
        "old_norms": old_norms(),
        "zoo": types_zoo(),
    }
    for name, model in models.items():
        put(f"{name}_module.pt", model, from_module(model))
        put(f"{name}_state.pt", model.state_dict(), from_state(model.state_dict()))
        if name not in ("zoo", "attention"):
            put(f"{name}_module_legacy.pth", model, from_module(model), legacy=True)
            put(f"{name}_state_legacy.pth", model.state_dict(), from_state(model.state_dict()), legacy=True)
    parametrised = new_norms()
    put("new_norms_state.pt", parametrised.state_dict(), from_state(parametrised.state_dict()))
    lazy = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    put("lazy_module.pt", lazy, from_module(lazy))
    put("leaf_module.pt", nn.Linear(3, 2), {"weights": from_module(nn.Linear(3, 2))["weights"]})
    put("tensor.pt", torch.zeros(3, 4), {})
    half = nn.DataParallel(seed_cnn().half())
    put("parallel_state.pt", half.state_dict(), from_state(half.state_dict()))
    flat = torch.zeros(20)
    put("views.pt", {"a.weight": flat[:12].view(3, 4), "b.weight": flat[6:18].view(4, 3), "c.bias": flat[18:]}, {})
    with (OUT / "plain_state.pkl").open("wb") as file:
        pickle.dump(seed_cnn()[:3].state_dict(), file)
    EXPECTED["plain_state.pkl"] = {"format": "torch_pickle", **from_state(seed_cnn()[:3].state_dict())}


def write_checkpoints() -> None:
    """Training checkpoints as training scripts and frameworks write them."""
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    adam = torch.optim.AdamW(model.parameters(), lr=3e-4)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(adam, 10)
    for optimizer in (adam, sgd):
        model(torch.randn(5, 4)).sum().backward()
        optimizer.step()
    schedule.step()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    state = from_state(model.state_dict())
    put(
        "checkpoint.pt",
        {
            "epoch": 7,
            "model": model.state_dict(),
            "optimizer": adam.state_dict(),
            "loss": torch.tensor(0.5),
            "scheduler": schedule.state_dict(),
            "rng": torch.get_rng_state(),
            "args": {"lr": 3e-4},
        },
        state,
    )
    put(
        "checkpoint_ema.pt",
        {
            "state_dict": model.state_dict(),
            "state_dict_ema": copy.deepcopy(model.state_dict()),
            "optimizer": sgd.state_dict(),
            "arch": "tiny",
        },
        state,
    )
    put("checkpoint_averaged.pt", {"model": model.state_dict(), "model_ema": averaged.state_dict()}, state)
    put("averaged_state.pt", averaged.state_dict(), from_state(averaged.state_dict()))
    put("ema_only.pt", {"params_ema": model.state_dict()}, state)
    put("lightning.ckpt", {"epoch": 2, "global_step": 40, "pytorch-lightning_version": "2.4.0",
                           "state_dict": OrderedDict((f"model.{k}", v) for k, v in model.state_dict().items()),
                           "optimizer_states": [adam.state_dict()], "lr_schedulers": [schedule.state_dict()],
                           "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.25)}},
                           "loops": {"fit_loop": {"state_dict": {}}}, "hyper_parameters": {"width": 3}},
        {"weights": {f"model.{k}": v for k, v in state["weights"].items()}})  # fmt: skip
    put(
        "gan.pt",
        {"generator": seed_cnn()[:3].state_dict(), "discriminator": model.state_dict(), "opt_g": adam.state_dict()},
        {},
    )
    put(
        "module_in_dict.pt",
        {"epoch": -1, "model": Net(), "ema": None, "optimizer": None, "train_args": {"imgsz": 640}},
        from_module(Net()),
    )
    put("module_and_ema.pt", {"model": Net(), "ema": Net(), "updates": 10}, from_module(Net()))
    put("optimizer_only.pt", adam.state_dict(), {})
    put("nested.pt", {"checkpoint": {"student": {"weights": model.state_dict()}}}, state)
    put("lbfgs.pt", {"model": model.state_dict(), "opt": lbfgs_state(model)}, state)


def lbfgs_state(model: nn.Module) -> dict:
    """An optimizer whose slots are lists of tensors."""
    optimizer = torch.optim.LBFGS(model.parameters())

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(torch.randn(5, 4)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return optimizer.state_dict()


def write_quantized_tensors() -> None:
    """A state_dict of quantised tensors, one for the whole array and two by channel, of which one has 4 bits."""
    values = torch.arange(40.0).reshape(10, 4) / 20
    scales, zeros = torch.full((10,), 0.05), torch.zeros(10)
    state = {
        "fc.weight": torch.quantize_per_tensor(values, 0.1, 3, torch.qint8),
        "fc.bias": torch.zeros(10),
        "emb.weight": torch.quantize_per_channel(values, scales, zeros, 0, torch.quint8),
        "small.weight": torch.quantize_per_channel(values, scales, zeros, 0, torch.quint4x2),
    }
    put("quantized_tensors_state.pt", state, {})
    put("quantized_tensors_state_legacy.pth", state, {}, legacy=True)


def write_quantized() -> None:
    """Dynamic and static quantisation, where this build has an engine for it."""
    engines = [name for name in torch.backends.quantized.supported_engines if name != "none"]
    if not engines:
        return
    torch.backends.quantized.engine = engines[-1]
    dynamic = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.LSTM(4, 4)), {nn.Linear, nn.LSTM}
    )
    put("quantized_dynamic_module.pt", dynamic, {})
    put("quantized_dynamic_state.pt", dynamic.state_dict(), {})
    torch.jit.save(torch.jit.script(dynamic), OUT / "quantized_dynamic_script.pt")
    EXPECTED["quantized_dynamic_script.pt"] = {"format": "torchscript"}
    model = torch.ao.quantization.QuantWrapper(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    ).eval()
    model.qconfig = torch.ao.quantization.get_default_qconfig(engines[-1])
    prepared = torch.ao.quantization.prepare(model)
    prepared(torch.randn(2, 1, 8, 8))
    static = torch.ao.quantization.convert(prepared)
    put("quantized_static_module.pt", static, {})
    put("quantized_static_state.pt", static.state_dict(), {})


def write_fx() -> None:
    """A symbolically traced module, whose pickle would execute generated code."""
    traced = torch.fx.symbolic_trace(seed_cnn()[:3])
    put("fx_module.pt", traced, {"weights": from_module(traced)["weights"]})


def write_scripts() -> None:
    """TorchScript: scripted, traced, frozen, mobile."""
    model, example = Net().eval(), torch.randn(2, 3, 8, 8)
    scripted = torch.jit.script(model)
    for name, script in (("script.pt", scripted), ("trace.pt", torch.jit.trace(model, example))):
        torch.jit.save(script, OUT / name)
        weights = {
            key: {"shape": shape_of(value), "dtype": dtype_of(value), "trainable": value.requires_grad, "buffer": False}
            for key, value in script.named_parameters()
        }
        weights.update(
            {
                key: {"shape": shape_of(value), "dtype": dtype_of(value), "trainable": False, "buffer": True}
                for key, value in script.named_buffers()
            }
        )
        EXPECTED[name] = {
            "format": "torchscript",
            "weights": weights,
            **counts(script),
            "types": {key: child.original_name for key, child in script.named_modules() if key},
        }
    scripted._save_for_lite_interpreter(str(OUT / "mobile.ptl"))
    EXPECTED["mobile.ptl"] = EXPECTED["script.pt"]
    torch.jit.save(torch.jit.freeze(scripted), OUT / "frozen.pt")
    EXPECTED["frozen.pt"] = {"format": "torchscript"}
    torch.jit.save(torch.jit.script(seed_cnn()), OUT / "seed_script.pt")
    EXPECTED["seed_script.pt"] = {"format": "torchscript", **from_module(seed_cnn())}


def write_exports() -> None:
    """torch.export: dynamic and fixed batch, the seed model, and the layout of 2.5 assembled from today's parts."""
    batch = torch.export.Dim("batch")
    model, example = Net().eval(), torch.randn(2, 3, 8, 8)
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    torch.export.save(program, OUT / "net.pt2")
    torch.export.save(torch.export.export(model, (example,)), OUT / "net_fixed.pt2")
    seed = torch.export.export(seed_cnn().eval(), (torch.randn(2, 1, 64, 64),), dynamic_shapes=({0: batch},))
    torch.export.save(seed, OUT / "seed.pt2")
    weights = {**from_module(model)["weights"]}
    for name in ("net.pt2", "net_fixed.pt2"):
        EXPECTED[name] = {"format": "torch_export", "weights": weights, **counts(model)}
    EXPECTED["seed.pt2"] = {
        "format": "torch_export",
        **from_module(seed_cnn()),
        "outputs": outputs_of(seed_cnn(), torch.randn(2, 1, 64, 64)),
    }
    write_old_export(program, "net_2_5.pt2", "pt")
    write_old_export(program, "net_2_1.pt2", "json")
    EXPECTED["net_2_5.pt2"] = EXPECTED["net_2_1.pt2"] = EXPECTED["net.pt2"]


def outputs_of(model: nn.Module, example: torch.Tensor) -> dict:
    """Output shape of each module, without the batch axis."""
    found = {}
    for name, child in model.named_modules():
        if name:
            child.register_forward_hook(lambda _m, _i, out, name=name: found.update({name: list(out.shape[1:])}))
    model.eval()(example)
    return found


def write_old_export(program: object, name: str, ending: str) -> None:
    """The zip that torch.export.save wrote up to 2.7: three serialized parts and a version at the top."""
    from torch._export.serde.serialize import serialize

    parts = serialize(program)
    with zipfile.ZipFile(OUT / name, "w") as archive:
        archive.writestr("serialized_exported_program.json", parts.exported_program)
        archive.writestr(f"serialized_state_dict.{ending}", parts.state_dict)
        archive.writestr(f"serialized_constants.{ending}", parts.constants)
        archive.writestr("version", "6.1" if ending == "pt" else "1.1")


def write_tar() -> None:
    """The tar of PyTorch before 0.1.10, by hand after torch/serialization.py (`_legacy_load`)."""
    state = OrderedDict(weight=torch.arange(6.0).view(2, 3), bias=torch.ones(2))
    state["alias"] = state["weight"]
    state["window"] = torch.zeros(4)[1:3]
    storages, tensors = io.BytesIO(), io.BytesIO()
    unique = {id(tensor): tensor for tensor in state.values()}
    pickle.dump(len(unique), storages, 2)
    pickle.dump(len(unique), tensors, 2)
    for number, tensor in enumerate(unique.values()):
        flat = torch.zeros(4) if tensor.numel() == 2 and tensor.storage_offset() else tensor.flatten()
        dump_old(storages, (1000 + number, "cpu", torch.FloatStorage))
        storages.write(struct.pack("<q", flat.numel()) + flat.numpy().tobytes())
        dump_old(tensors, (2000 + number, 1000 + number, torch.FloatTensor))
        tensors.write(struct.pack("<ii", tensor.dim(), 0) + struct.pack(f"<{tensor.dim()}q", *tensor.shape))
        tensors.write(struct.pack(f"<{tensor.dim()}q", *tensor.stride()) + struct.pack("<q", tensor.storage_offset()))
    pickle.dump([], storages, 2)
    keys = {identity: 2000 + number for number, identity in enumerate(unique)}
    main = io.BytesIO()
    pickler = pickle.Pickler(main, 2)
    pickler.persistent_id = lambda value: keys[id(value)] if isinstance(value, torch.Tensor) else None
    pickler.dump(state)
    with tarfile.open(OUT / "oldest.tar", "w:", format=tarfile.PAX_FORMAT) as archive:
        for member, data in (
            ("sys_info", pickle.dumps({"protocol_version": 1000}, 2)),
            ("pickle", main.getvalue()),
            ("storages", storages.getvalue()),
            ("tensors", tensors.getvalue()),
        ):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    loaded = torch.load(OUT / "oldest.tar", weights_only=False)
    EXPECTED["oldest.tar"] = {"format": "torch_tar", **from_state(loaded), "ties": [["weight", "alias"]]}


def dump_old(file: io.BytesIO, record: tuple) -> None:
    """A storage or tensor record; its class by name, as it was then."""
    key, place, kind = record
    place_code = (
        b"U" + bytes([len(place)]) + place.encode() if isinstance(place, str) else b"J" + struct.pack("<i", place)
    )
    file.write(b"\x80\x02J" + struct.pack("<i", key) + place_code + b"ctorch\n" + kind.__name__.encode() + b"\n\x87.")


def write_classes() -> None:
    """Every layer class that torch.nn and torch.ao.nn export, as [module, name]."""
    homes = (nn, torch.ao.nn.quantized, torch.ao.nn.quantized.dynamic, torch.ao.nn.intrinsic, torch.ao.nn.quantizable)
    found = {
        (kind.__module__, kind.__name__)
        for home in homes
        for kind in vars(home).values()
        if isinstance(kind, type) and issubclass(kind, nn.Module)
    }
    (OUT / "classes.json").write_text(json.dumps(sorted(found)))


write_classes()
write_plain()
write_checkpoints()
write_quantized()
write_quantized_tensors()
write_fx()
write_scripts()
write_exports()
write_tar()
(OUT / "expected.json").write_text(json.dumps(EXPECTED))
