"""Attacks by objects that act in another's place: functions called by no opcode that calls (row P2 of the catalogue).

Each was loaded with `pickle` and left its mark: functions are had by attributes of plain objects, step by step, and are
called by who consumes an iterator, or under the name of a method that unpicklers call.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.attacks.frame import Attacks, Outcome, Trap
from tests.attacks.opcodes import (
    APPENDS,
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    MARK,
    NEWOBJ_EX,
    NONE,
    built,
    call,
    created,
    dictionary,
    number,
    stacked,
    text,
    tuple_of,
)
from tests.attacks.pickles import COMPUTED, CONFUSED, HIGH, LOOKED_UP, by_opcodes

ATTACKS = Attacks()
gadget = by_opcodes(ATTACKS)

NAMESPACE = created(stacked("argparse", "Namespace"))
ARRAY = call(stacked("numpy", "ndarray"), tuple_of(number(1)))
APPEND, ADD_ITEMS = b"a", b"\x90"


def attribute(owner: bytes, *names: str) -> bytes:
    """What `getattr` gives, one step after the other."""
    for name in names:
        owner = call(stacked("builtins", "getattr"), owner, text(name))
    return owner


SYSTEM = attribute(ARRAY, "ctypes", "_ctypes", "_os", "system")


def write(trap: Trap) -> bytes:
    """A method of a path: writes the marker."""
    return attribute(call(stacked("pathlib", "PosixPath"), text(str(trap.marker))), "write_text")


def one(value: bytes) -> bytes:
    """A list of one value."""
    return EMPTY_LIST + MARK + value + APPENDS


def taken(maker: str, *arguments: bytes) -> bytes:
    """A list of what an iterator gives that calls a function for each."""
    return call(stacked("builtins", "list"), created(stacked("itertools", maker), *arguments))


def acting(number_: int, name: str, idea: str, make: Callable[[Trap], bytes], expects: Outcome) -> None:
    """One more of them."""
    gadget(f"P2-{number_}", name, idea, make, expects, source="tried here: objects that pickle itself makes")


acting(50, "a_module_by_attributes", "Any module can be reached from any object that a library made.",
       lambda trap: call(SYSTEM, text(trap.command)), LOOKED_UP)  # fmt: skip
acting(51, "an_iterator_that_calls_a_method", "starmap is only created, and a list consumes it.",
       lambda trap: taken("starmap", write(trap), one(tuple_of(text("x")))), COMPUTED)  # fmt: skip
acting(52, "an_iterator_that_calls_what_was_reached", "The same with a function of a module.",
       lambda trap: taken("starmap", SYSTEM, one(tuple_of(text(trap.command)))), COMPUTED)  # fmt: skip
acting(53, "an_iterator_of_python_2", "imap is what Python 3 calls map.",
       lambda trap: taken("imap", SYSTEM, one(text(trap.command))), COMPUTED)  # fmt: skip
acting(54, "an_iterator_with_a_named_function", "An iterator that no data needs, created of an unknown function.",
       lambda trap: taken("takewhile", stacked("some.package", "run"), one(text(trap.command))), HIGH)  # fmt: skip
acting(55, "an_iterator_that_groups", "groupby calls its key.",
       lambda trap: taken("groupby", one(text(trap.command)), SYSTEM), COMPUTED)  # fmt: skip
acting(56, "a_function_by_keyword", "NEWOBJ_EX gives keywords too.",
       lambda trap: call(stacked("builtins", "list"), stacked("itertools", "accumulate")
                         + tuple_of(one(text("x") + text(trap.command)))
                         + dictionary(func=stacked("some.package", "run")) + NEWOBJ_EX), HIGH)  # fmt: skip
acting(57, "an_object_that_is_no_list", "APPEND calls append() of what it finds, here an attribute.",
       lambda trap: built(NAMESPACE, dictionary(append=SYSTEM)) + text(trap.command) + APPEND, CONFUSED)  # fmt: skip
acting(58, "an_object_that_is_no_list_either", "The same with a name that nobody knows.",
       lambda trap: built(NAMESPACE, dictionary(append=stacked("some.package", "run"))) + text(trap.command) + APPEND,
       CONFUSED)  # fmt: skip
acting(59, "an_object_that_is_no_set", "ADDITEMS calls add().",
       lambda trap: built(NAMESPACE, dictionary(add=SYSTEM)) + MARK + text(trap.command) + ADD_ITEMS,
       CONFUSED)  # fmt: skip
acting(60, "an_object_that_sets_its_own_state", "A second BUILD calls __setstate__ of the first.",
       lambda trap: built(built(NAMESPACE, dictionary(__setstate__=SYSTEM)), text(trap.command)), CONFUSED)  # fmt: skip
acting(61, "an_error_that_is_no_list", "Any object with attributes will do.",
       lambda trap: built(call(stacked("builtins", "ValueError")), dictionary(append=SYSTEM)) + text(trap.command)
       + APPEND, CONFUSED)  # fmt: skip
acting(62, "attributes_beside_slots", "The state as a pair: attributes, and slots.",
       lambda trap: built(NAMESPACE, tuple_of(NONE, dictionary(append=SYSTEM))) + text(trap.command) + APPEND,
       CONFUSED)  # fmt: skip
acting(63, "a_state_that_an_optimizer_asks", "Adam takes up its state by get(), for each parameter.",
       lambda trap: created(stacked("torch.optim.adam", "Adam")) + dictionary(
           param_groups=one(dictionary(params=one(text(trap.command)))),
           state=built(NAMESPACE, dictionary(get=stacked("some.package", "run"))), defaults=EMPTY_DICT,
       ) + BUILD, CONFUSED)  # fmt: skip
acting(64, "a_held_function_for_a_rebuilder", "A partial is only created, and a rebuilder calls it.",
       lambda trap: call(stacked("torch._tensor", "_rebuild_from_type_v2"),
                         created(stacked("functools", "partial"), SYSTEM, text(trap.command)),
                         stacked("torch", "Tensor"), tuple_of(), EMPTY_DICT), COMPUTED)  # fmt: skip
acting(65, "a_held_function_of_an_unknown_name", "The same of a name, by a call.",
       lambda trap: call(stacked("torch._tensor", "_rebuild_from_type_v2"),
                         call(stacked("functools", "partial"), stacked("some.package", "run"), text(trap.command)),
                         stacked("torch", "Tensor"), tuple_of(), EMPTY_DICT), HIGH)  # fmt: skip
acting(67, "a_module_that_compiles_itself", "Dynamo's module calls the compiler that its state names.",
       lambda trap: built(created(stacked("torch._dynamo.eval_frame", "OptimizedModule")), dictionary(
           dynamo_ctx=stacked("some.package", "run"),
           _orig_mod=built(NAMESPACE, dictionary(__call__=text(trap.command), forward=NONE)))), HIGH)  # fmt: skip
acting(66, "what_was_looked_up_is_changed", "An attribute of an object is the program's own, and is overwritten.",
       lambda trap: built(attribute(ARRAY, "ctypes"), dictionary(_as_parameter_=text(trap.command))),
       CONFUSED)  # fmt: skip
