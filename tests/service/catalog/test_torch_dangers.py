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
    ("functools", "partial"),
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
