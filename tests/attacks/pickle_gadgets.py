"""Attacks by names that are allowed, given what they must not be given; pickles of other picklers (rows P1 and P6).

None of these calls a function that a list of bad names has: what evaluates, imports or loads is reached through a
rebuilder, a type, an enumeration, or a module that happens to import another one.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from tests.attacks.frame import Attacks, Outcome, Trap, harmless, named, refused
from tests.attacks.opcodes import (
    BUILD,
    EMPTY_DICT,
    NONE,
    POP,
    PROTO,
    SETITEM,
    STOP,
    built,
    call,
    created,
    dictionary,
    raw,
    stacked,
    system,
    text,
    tuple_of,
)
from tests.attacks.pickles import CRITICAL, HIGH, by_opcodes
from tests.service.parsers.joblibs import mapping, wrapper

ATTACKS = Attacks()


gadget = by_opcodes(ATTACKS)


# What evaluates a text that it is given


def hints(trap: Trap) -> bytes:
    """An object whose annotations are code, and who evaluates those."""
    space = built(
        created(stacked("types", "SimpleNamespace")), dictionary(__annotations__=dictionary(x=text(trap.python)))
    )
    return call(stacked("typing", "get_type_hints"), space)


gadget("P1-80", "annotations_are_evaluated", "`typing.get_type_hints` evaluates texts among annotations.", hints, HIGH)
gadget(
    "P1-81",
    "a_forward_reference_is_evaluated",
    "`typing._eval_type` evaluates a reference that is a text.",
    lambda trap: call(
        stacked("typing", "_eval_type"),
        call(stacked("typing", "ForwardRef"), text(trap.python)),
        EMPTY_DICT,
        EMPTY_DICT,
    ),
    HIGH,
)
gadget(
    "P1-82",
    "a_graph_that_becomes_python",
    "FX writes Python of the nodes of a graph, and executes it when a GraphModule is made.",
    lambda trap: call(
        stacked("torch.fx.graph_module", "GraphModule"),
        created(stacked("torch.nn.modules.module", "Module")),
        built(created(stacked("torch.fx.graph", "Graph")), dictionary(_body=text(trap.python))),
    ),
    CRITICAL,
)
gadget(
    "P1-83",
    "a_graph_module_by_its_class",
    "The same by NEWOBJ and a state.",
    lambda trap: built(created(stacked("torch.fx", "GraphModule")), dictionary(_graph=text(trap.python))),
    HIGH,
)
gadget(
    "P1-84",
    "numexpr_evaluates",
    "Expressions of pandas and numexpr are Python.",
    lambda trap: call(stacked("pandas.core.computation.eval", "eval"), text(trap.python)),
    HIGH,
)
gadget(
    "P1-85",
    "sympy_parses",
    "Parsers of mathematics evaluate.",
    lambda trap: call(stacked("sympy.core.sympify", "sympify"), text(trap.python)),
    HIGH,
)

# Modules that are reached through others


def through(number_: int, module: str, name: str) -> None:
    """A function that is a step further."""
    gadget(
        f"P1-{number_}",
        f"through_{module.replace('.', '_')}_{name.partition('.')[0].strip('_')}",
        f"`{module}` imports a module of Python's library, whose function is had by a dotted name.",
        lambda trap: (
            created(stacked("torch.nn.modules.module", "Module")) + dictionary(forward=stacked(module, name)) + BUILD
        ),
        HIGH,
    )


for at, (module, name) in enumerate(
    [
        ("torch._jit_internal", "builtins.eval"),
        ("torch.nn.functional", "importlib.import_module"),
        ("torch.nn.functional", "__builtins__"),
        ("torch.nn.init", "__builtins__.get"),
        ("enum", "bltns.exec"),
        ("typing", "sys"),
        ("collections.abc", "sys"),
        ("some.package", "builtins.open"),
        ("some.package.module", "helper.eval"),
        ("transformers.utils.import_utils", "subprocess.run"),
    ],
    start=90,
):
    through(at, module, name)


gadget(
    "P1-105",
    "a_module_alone",
    "Only the module, and nothing of it: told, though it does nothing.",
    lambda trap: tuple_of(stacked("torch._jit_internal", "sys"), call(stacked("torch", "device"), text("cpu"))),
    named("pickle_reference", "low", "@"),
)

# Other picklers, and arrays between opcodes


def other(number_: int, module: str, name: str, expects: Outcome, *arguments: bytes, opcodes: bytes = b"") -> None:
    """A helper by which another pickler makes functions and classes."""
    gadget(
        f"P6-{number_}",
        f"{module.partition('.')[0]}_{name.strip('_').replace('.', '_')}",
        f"`{module}` makes what it is given into functions and modules when loaded.",
        lambda trap: call(stacked(module, name), *(arguments or (text(trap.python),))) + opcodes,
        expects,
        f"{module.partition('.')[0]}'s own format",
    )


for at, (module, name) in enumerate(
    [
        ("dill._dill", "_create_code"),
        ("dill._dill", "_create_function"),
        ("dill._dill", "_import_module"),
        ("dill._dill", "_eval_repr"),
        ("cloudpickle.cloudpickle", "subimport"),
        ("cloudpickle.cloudpickle", "_builtin_type"),
        ("cloudpickle.cloudpickle", "_make_skeleton_class"),
        ("joblib.numpy_pickle", "load"),
        ("joblib.externals.cloudpickle", "loads"),
    ],
    start=30,
):
    other(at, module, name, CRITICAL)
gadget(
    "P6-40",
    "an_array_of_joblib_in_another_file",
    "Old joblib loads the file that an array names: whichever, with pickles in it.",
    lambda trap: built(
        created(stacked("joblib.numpy_pickle", "NDArrayWrapper")),
        dictionary(filename=text("../../../secret.txt"), subclass=stacked("numpy", "ndarray")),
    ),
    HIGH,
    "joblib/numpy_pickle_compat.py",
)


def array_of(data: bytes, **more: Any) -> bytes:
    """A pickle as joblib writes it, of one array with these bytes."""
    return mapping({"coef_": wrapper(np.frombuffer(data, "u1"), aligned=False, **more)})


@ATTACKS("P6-41", source="tried here", expects=CRITICAL)
def opcodes_in_an_array_of_joblib(trap: Trap) -> bytes:
    """Numbers to joblib; to `pickle.load`, which does not know of arrays between opcodes, they are the next opcodes."""
    return array_of(POP + system(trap.command) + STOP)


@ATTACKS("P6-42", source="tried here", expects=CRITICAL)
def opcodes_behind_an_array_of_joblib(trap: Trap) -> bytes:
    """To `pickle.load` it breaks off; joblib passes over the numbers and goes on."""
    array = wrapper(np.zeros(4, "u1") + 255, aligned=False)
    return PROTO[2] + array + POP + system(trap.command) + STOP


@ATTACKS("P6-43", source="tried here", expects=CRITICAL)
def opcodes_in_an_array_of_objects_of_joblib(trap: Trap) -> bytes:
    """Arrays of objects are pickles of their own between the opcodes."""
    array = wrapper(np.array([None]), aligned=False)
    written = pickle.dumps(np.array([None]), 2)
    return PROTO[2] + array.removesuffix(written) + PROTO[2] + system(trap.command) + STOP + STOP


@ATTACKS("P6-44", source="alt-profanity-check 1.9.1", expects=harmless())
def arrays_of_joblib_and_nothing_else(trap: Trap) -> bytes:
    """A scikit-learn model's coefficients: not an attack."""
    return mapping({"coef_": wrapper(np.arange(12.0)), "classes_": wrapper(np.array(["no", "yes"]))})


@ATTACKS("P6-45", source="PEP 574", expects=refused("malformed_file"))
def a_buffer_that_is_called(trap: Trap) -> bytes:
    """Protocol 5 takes a value from outside the stream, which no file has: nothing loads it."""
    return PROTO[5] + stacked("numpy", "ndarray") + POP + b"\x97" + tuple_of(text(trap.command)) + b"R" + STOP


@ATTACKS("P1-110", source="typing's own pickles", expects=harmless())
def types_with_parameters(trap: Trap) -> bytes:
    """`dict[str, typing.List[int]]`, `int | None`, a logger, a bound method that a partial keeps: not an attack."""
    listed = call(stacked("_operator", "getitem"), stacked("typing", "List"), stacked("builtins", "int"))
    either = call(stacked("_operator", "or_"), stacked("builtins", "int"), NONE)
    mapped = call(
        stacked("types", "GenericAlias"), stacked("builtins", "dict"), tuple_of(stacked("builtins", "str"), listed)
    )
    logger = call(stacked("logging", "getLogger"), text("training"))
    shape = call(stacked("numpy.core.multiarray", "scalar"), stacked("numpy", "float64"), raw(bytes(8)))
    values = {"listed": listed, "either": either, "mapped": mapped, "logger": logger, "shape": shape}
    return PROTO[4] + dictionary(**values) + text("more") + text("text") + SETITEM + STOP
