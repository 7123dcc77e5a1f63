"""What pickles could run is listed, never run; what only rebuilds data is not listed. Rows of the threat catalogue."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path

import pytest

from service.catalog.torch_dangers import dangers_of, trailing
from service.config import Limits
from service.parsers.pickle_opcodes import run
from service.source import BytesSource, Meter
from service.tree import Danger
from tests.service.parsers.pickles import call, text


def dangers(data: bytes) -> list[Danger]:
    limits = Limits()
    source = BytesSource(data, Meter(limits))
    trace = run(source, 0, limits)
    return [
        *dangers_of(trace, source, limits, "data.pkl"),
        *(trailing(source, trace.end, limits, "data.pkl") if not trace.broken else []),
    ]


def worst(data: bytes) -> str | None:
    order = ["critical", "high", "medium", "low", "info"]
    return min((danger.severity for danger in dangers(data)), key=order.index, default=None)


EXECUTE = [
    ("os", "system"),
    ("posix", "popen"),
    ("nt", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("__builtin__", "compile"),
    ("builtins", "__import__"),
    ("builtins", "open"),
    ("runpy", "_run_code"),
    ("importlib", "import_module"),
    ("pip", "main"),
    ("pip._internal.cli.main", "main"),
    ("pkgutil", "resolve_name"),
    ("ctypes", "CDLL"),
    ("shutil", "rmtree"),
    ("socket", "create_connection"),
    ("webbrowser", "open"),
    ("pty", "spawn"),
    ("timeit", "timeit"),
    ("bdb", "Bdb.run"),
    ("pickle", "loads"),
    ("_pickle", "loads"),
    ("dill", "loads"),
    ("marshal", "loads"),
    ("types", "FunctionType"),
    ("operator", "attrgetter"),
    ("code", "InteractiveInterpreter.runcode"),
    ("urllib.request", "urlopen"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.jit", "load"),
    ("torch.serialization", "load"),
    ("torch.utils.cpp_extension", "load"),
    ("torch.jit.annotations", "parse_type_line"),
    ("torch.jit.unsupported_tensor_ops", "execWrapper"),
    ("torch.distributed.rpc", "rpc_sync"),
    ("torch.utils._config_module", "load_config"),
    ("torch.utils.collect_env", "run"),
    ("torch._inductor.codecache", "compile_file"),
    ("torch.fx.graph_module", "reduce_graph_module"),
    ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression"),
    ("numpy.testing._private.utils", "runstring"),
    ("numpy.f2py.crackfortran", "getlincoef"),
    ("numpy", "load"),
    ("logging", "FileHandler"),
    ("linecache", "getlines"),
    ("torch.nn.modules.module", "warnings.sys.modules"),
    ("collections", "namedtuple.__globals__"),
    ("io", "open"),
    ("idlelib.run", "Executive.runcode"),
    ("lib2to3.pgen2.grammar", "Grammar.loadtxt"),
    ("profile", "run"),
    ("cProfile", "run"),
]


@pytest.mark.parametrize(("module", "name"), EXECUTE)
def test_execution_primitives_are_critical_when_called(module: str, name: str) -> None:
    """Calling what runs, loads or fetches is critical; naming it alone is high (T1, T7, P1)."""
    assert worst(call(module, name, text("x")) + b".") == "critical"
    named = dangers(f"c{module}\n{name}\n.".encode())
    assert [danger.severity for danger in named] == ["high"]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("numpy.core.multiarray", "_reconstruct"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("collections", "OrderedDict"),
        ("torch", "FloatStorage"),
        ("torch.storage", "UntypedStorage"),
        ("torch.nn.modules.conv", "Conv2d"),
        ("torch", "Size"),
        ("torch.nn.modules.container", "Sequential"),
        ("datetime", "datetime"),
        ("torch", "device"),
        ("torch.ao.nn.quantized.modules.linear", "Linear"),
        ("__builtin__", "set"),
        ("pathlib", "PosixPath"),
        ("_codecs", "encode"),
        ("torch.optim.adam", "Adam"),
        ("__torch__.my.code", "Net"),
    ],
)
def test_what_rebuilds_data_is_not_listed(module: str, name: str) -> None:
    """Rebuilders of PyTorch, NumPy and the standard library, and PyTorch's own layers."""
    assert dangers(call(module, name, b"N") + b".") == []


def test_unknown_names_are_judged_by_their_use() -> None:
    """Called: high. Made an object of: medium. Only named: low. The user's own module classes are the second."""
    assert worst(call("my.code", "build", b"N") + b".") == "high"
    assert worst(b"cmy.code\nNet\n)\x81}b.") == "medium"
    assert worst(b"cmy.code\nNet\n.") == "low"
    assert worst(b"ctorch.nn.functional\nrelu\n.") is None


def test_the_standard_library_is_not_data() -> None:
    """What of it is not known to be plain is high in every use: its gadgets are more than any list holds (P1)."""
    for module, name in (("stat", "filemode"), ("csv", "DictReader"), ("uuid", "_get_command_stdout")):
        assert worst(call(module, name, text("x y")) + b".") == "high"
        assert worst(f"c{module}\n{name}\n)\x81}}b.".encode()) == "high"
        assert worst(f"c{module}\n{name}\n.".encode()) == "high"
    for module, name in (("math", "exp"), ("operator", "add"), ("typing", "Any"), ("builtins", "ValueError")):
        assert worst(f"c{module}\n{name}\n.".encode()) is None


def test_members_of_enumerations_are_no_calls() -> None:
    """A class called with one word or number makes an object: medium. With more, or a function, it is a call."""
    assert worst(call("trainer.utils", "Strategy", text("steps")) + b".") == "medium"
    assert worst(call("trainer.utils", "Level", b"K\x01") + b".") == "medium"
    assert worst(call("trainer.utils", "Strategy", text("rm -rf /")) + b".") == "high"
    assert worst(call("trainer.utils", "strategy", text("steps")) + b".") == "high"
    assert worst(call("trainer.utils", "S", text("a")) + call("trainer.utils", "S", text("a b")) + b"0.") == "high"


def test_a_partial_is_judged_by_its_function() -> None:
    """Of a layer or an unknown function it is worth a word, of a command it is high, and so it is when it is called."""
    assert worst(call("functools", "partial", b"ctorch.nn.modules.normalization\nLayerNorm\n") + b".") == "medium"
    assert worst(call("functools", "partial", b"cos\nsystem\n") + b".") == "high"
    assert worst(call("functools", "partial", b"cacme\nrun\n") + b".") == "medium"
    assert worst(call("builtins", "list", call("functools", "partial", b"cacme\nrun\n")) + b".") == "high"
    assert worst(call("functools", "partial", b"ctorch.nn.modules.linear\nLinear\n") + b")R.") == "high"


def test_allowed_stars_end_at_a_dot() -> None:
    """A module of which every name is allowed allows no way out of it (P2)."""
    assert worst(b"\x80\x04" + text("numpy.dtypes") + text("Float32DType") + b"\x93.") is None
    for name in ("Float32DType.__class__", "__builtins__"):
        assert worst(b"\x80\x04" + text("numpy.dtypes") + text(name) + b"\x93)R.") in ("critical", "high")


@pytest.mark.parametrize(("module", "name"), [
    ("typing", "get_type_hints"), ("typing", "_eval_type"), ("typing", "sys"), ("collections.abc", "sys"),
    ("torch._jit_internal", "builtins.eval"), ("torch.nn.functional", "__builtins__"), ("any.module", "__loader__"),
    ("torch.nn.init", "__builtins__.get"), ("any.module", "other.eval"), ("any.module", "subprocess.run"),
    ("torch.fx.graph_module", "GraphModule"), ("torch.fx", "GraphModule"),
])  # fmt: skip
def test_what_evaluates_is_high_when_it_is_only_named(module: str, name: str) -> None:
    """Functions of modules whose classes are data, and what is reached through modules that import others."""
    assert worst(f"c{module}\n{name}\n.".encode()) in ("high", "critical")


@pytest.mark.parametrize("name", [
    "sklearn.metrics._dist_metrics.newObj", "sklearn._loss._loss.__pyx_unpickle_CyHalfSquaredError",
])  # fmt: skip
def test_what_a_rebuilder_is_given_is_a_class(name: str) -> None:
    """Made, not called: medium for one that nobody knows here, as it is everywhere else."""
    module, _, last = name.rpartition(".")
    made = call(module, last, b"cmy.losses\nLoss\n")
    assert worst(made + b"K\x01b.") == "medium"


@pytest.mark.parametrize(("data", "expected"), [
    (b"cbuiltins\nstr.lower\n.", None), (b"cbuiltins\ngetattr\n(cbuiltins\nstr\n" + text("lower") + b"tR.", None),
    (b"cbuiltins\ngetattr\n(" + text("x") + text("upper") + b"tR.", None), (b"cbuiltins\nprint\n.", None),
    (b"cbuiltins\nstr.format\n.", "high"), (call("builtins", "str.lower", text("X")) + b".", "high"),
    (b"cbuiltins\ngetattr\n(" + text("x") + text("__class__") + b"tR.", "critical"),
    (call("builtins", "print", text("x")) + b".", "high"),
])  # fmt: skip
def test_methods_of_data_are_kept_by_tokenizers(data: bytes, expected: str | None) -> None:
    """Named they do nothing; called, or formatting, they might."""
    assert worst(data) == expected


@pytest.mark.parametrize(("module", "name"), [
    ("typing", "Optional"), ("typing", "_GenericAlias"), ("collections.abc", "Callable"),
    ("torch.nn.functional", "relu"), ("torch.nn.init", "xavier_uniform_"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"), ("io", "BytesIO"),
])  # fmt: skip
def test_classes_and_activations_are_data(module: str, name: str) -> None:
    """Types with parameters, functions that modules keep, what stands for arrays."""
    assert worst(f"c{module}\n{name}\n.".encode()) is None


def test_what_asks_for_room_is_told() -> None:
    """Small pickles that make gigabytes when loaded (P7)."""
    much = call("builtins", "bytearray", b"\x8a\x06" + b"\xff" * 5 + b"\0")
    assert [danger.code for danger in dangers(much + b".")] == ["pickle_allocation"]
    assert [danger.code for danger in dangers(b"\x80\x02Nr\xff\xff\xff\xff.")] == ["pickle_memo"]


def test_persistent_ids_that_nobody_knows_are_high() -> None:
    """What the loading program makes of them is not told by the file (P2)."""
    (danger,) = dangers(b"Pfile:///x\n.")
    assert (danger.code, danger.severity) == ("pickle_persistent_id", "high")


def test_decoys_do_not_hide_a_payload() -> None:
    """Where more looks like pickles than is looked into, that is said as high (P4)."""
    decoys = [b"\x80\x04" + b"N0" * 150_000 + bytes([number]) for number in range(9)]
    found = dangers(pickle.dumps([*decoys, b"\x80\x04" + call("os", "system", text("ls")) + b"."], 4))
    assert [(danger.code, danger.severity) for danger in found] == [("pickle_unsearched", "high")]


def test_a_known_name_in_a_wrong_module_is_unknown() -> None:
    """`evil.Conv2d` and a dotted name below a layer class are not PyTorch's."""
    assert worst(call("evil", "Conv2d", b"N") + b".") == "high"
    assert worst(call("torch.nn.modules.conv", "Conv2d.__init__.__globals__", b"N") + b".") == "critical"


def test_the_place_and_the_name_are_told() -> None:
    """Member, offset of the call, and the name itself."""
    (danger,) = dangers(call("os", "system", text("ls")) + b".")
    assert (danger.code, danger.member, danger.offset, danger.detail) == ("pickle_global", "data.pkl", 17, "os.system")
    assert danger.reference


def test_results_that_are_thrown_away_still_count() -> None:
    """POP after a call hides the result, not the call (P2)."""
    assert worst(call("os", "system", text("ls")) + b"0N.") == "critical"


def test_gadgets_that_call_their_argument() -> None:
    """A harmless rebuilder that is given a function calls it."""
    data = call("torch._tensor", "_rebuild_from_type_v2", b"cos\nsystem\n", b"N", b"(" + text("ls") + b"t", b"N") + b"."
    assert worst(data) == "critical"


@pytest.mark.parametrize("wrap", [lambda data: data, base64.b64encode, lambda data: data.hex().encode()])
def test_pickles_hidden_in_strings_are_found(wrap: object) -> None:
    """As bytes, in base64 and in hex, three levels deep (P4)."""
    payload = b"\x80\x04" + call("os", "system", text("touch /tmp/never")) + b"."
    once = pickle.dumps({"weights": wrap(payload)}, 4)  # type: ignore[operator]
    assert worst(once) == "critical"
    assert worst(pickle.dumps([once], 4)) == "critical"
    assert all("hidden in a string" in str(danger.what) for danger in dangers(once))


def test_large_hidden_pickles_are_found_without_being_kept() -> None:
    """The same for a byte string that is skipped for its length."""
    payload = b"\x80\x04" + call("os", "system", text("ls")) + b"0B\x00\x00\x02\x00" + b"x" * 0x20000 + b"."
    assert worst(pickle.dumps({"blob": payload}, 4)) == "critical"


def test_ordinary_strings_hide_nothing() -> None:
    """Names, base64 data, bytes that only start like a pickle, and sources of code are not listed."""
    plain = {
        "a.b.c": "x" * 50,
        "b": base64.b64encode(bytes(range(200))),
        "c": b"\x80\x04 not a pickle",
        "d": "cat\ndog\n" * 9,
    }
    assert dangers(pickle.dumps(plain, 4)) == []


def test_what_follows_the_pickle_is_looked_at() -> None:
    """Trailing bytes are noted, and a second pickle in them is judged (P6)."""
    found = dangers(b"N." + call("os", "system", b"N") + b".")
    assert [danger.code for danger in found] == ["pickle_trailing", "pickle_global"]
    assert [danger.code for danger in dangers(b"N.garbage")] == ["pickle_trailing"]


def test_a_great_number_of_names_is_summed_up() -> None:
    """More than 200 names become 200 and a count, the worst first."""
    data = (
        b"".join(call(f"unknown{number}", "f", b"N") + b"0" for number in range(300))
        + call("os", "system", b"N")
        + b"."
    )
    found = dangers(data)
    assert len(found) == 201
    assert found[0].severity == "critical"
    assert str(found[-1].what).startswith("101 further names")


def test_nothing_ran(tmp_path: Path) -> None:
    """Judging a payload does not run it."""
    marker = tmp_path / "marker"
    dangers(call("os", "system", text(f"touch {marker}")) + b".")
    dangers(pickle.dumps([call("os", "system", text(f"touch {marker}")) + b"."]))
    assert not marker.exists()
