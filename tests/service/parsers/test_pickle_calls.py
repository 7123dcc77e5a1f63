"""What calls do with their arguments: words that pick, functions that are handed over, room that is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from service.parsers.pickle_calls import asked_for, is_word
from tests.service.parsers.pickles import call, text, trace


@pytest.mark.parametrize(("value", "expected"), [
    ("steps", True), ("adamw-torch_fused", True), (3, True), (False, True), ("rm -rf /", False), ("a.b", False),
    ("/bin/sh", False), ("", False), ("x" * 41, False), (1.5, False), (None, False), (b"steps", False), (("a",), False),
])  # fmt: skip
def test_one_word_or_number_picks(value: Any, expected: bool) -> None:
    """A member of an enumeration is had by it; commands, paths and other things are no words."""
    assert is_word(value) is expected


@pytest.mark.parametrize(("name", "args", "expected"), [
    ("bytearray", (10**12,), 10**12), ("_reconstruct", (None, (3, 10**10), b"b"), 10**10), ("range", (5,), 0),
    ("bytearray", (2**28,), 0), ("bytearray", (10**30,), 2**63), ("Linear", (10**12,), 0), ("bytes", ("x",), 0),
])  # fmt: skip
def test_room_that_is_asked_for(name: str, args: tuple[Any, ...], expected: int) -> None:
    """Numbers beyond 2^28 given to what makes as much as it is told; other calls and numbers are nothing."""
    assert asked_for(name, args) == expected


def uses(data: bytes) -> dict[str, str]:
    """How each name of a pickle is used."""
    return {f"{use.module}.{use.name}": use.how for use in trace(data).uses.values()}


def test_functions_among_the_arguments_count_as_called() -> None:
    """Given as they are, in a sequence or in a dictionary; to what rebuilds tensors they are only named."""
    for given in (b"cm\nf\n", b"(cm\nf\nt", b"]cm\nf\na", b"}" + text("k") + b"cm\nf\ns"):
        assert uses(call("any", "thing", given) + b".")["m.f"] == "called"
    assert uses(call("torch._utils", "_rebuild_tensor_v2", b"cm\nf\n") + b".")["m.f"] == "referenced"


def test_classes_that_are_filled_count_as_made() -> None:
    """NumPy's and PyTorch's rebuilders get a class to make an object of."""
    assert (
        uses(call("numpy.core.multiarray", "_reconstruct", b"cm\nArray\n", b"(K\x00t") + b".")["m.Array"] == "created"
    )
    made = call("torch._tensor", "_rebuild_from_type_v2", b"cm\nf\n", b"cm\nSub\n", b")", b"N") + b"."
    assert (uses(made)["m.Sub"], uses(made)["m.f"]) == ("created", "called")


def test_a_partial_is_as_harmless_as_its_function() -> None:
    """It is an object that calls nothing; who is given one may call the function that it holds."""
    partial = call("functools", "partial", b"cm\nf\n")
    assert uses(partial + b".") == {"functools.partial": "created", "m.f": "referenced"}
    assert uses(partial + b"(cm\ng\n)}Ntb.")["m.g"] == "referenced"
    assert uses(call("m", "g", partial) + b".")["m.f"] == "called"
    assert uses(call("functools", "reduce", b"cm\nf\n") + b".") == {"functools.reduce": "created", "m.f": "called"}


def test_reconstructors_call_what_they_build_on() -> None:
    """`_reconstructor(class, base, state)` calls `base.__init__`: harmless for built-in bases only."""
    plain = b"ccopyreg\n_reconstructor\n(cm\nNet\nc__builtin__\nobject\nNtR."
    assert uses(plain)["m.Net"] == "created"
    evil = b"ccopyreg\n_reconstructor\n(cm\nNet\ncm\nBase\nNtR."
    assert (uses(evil)["m.Net"], uses(evil)["m.Base"]) == ("called", "called")


def test_look_ups_are_seen_through() -> None:
    """`getattr`, NumPy's ufuncs and `type(None)` become the names they stand for."""
    assert (
        uses(call("numpy._core", "_ufunc_reconstruct", text("os"), text("system")) + b".")["os.system"] == "referenced"
    )
    assert uses(call("builtins", "type", b"N") + b".")["types.NoneType"] == "referenced"


def test_names_of_python_2_are_todays() -> None:
    """As an unpickler maps them."""
    found = uses(b"c__builtin__\nxrange\n0c__builtin__\nreduce\n0c__builtin__\nlong\n.")
    assert set(found) == {"builtins.range", "functools.reduce", "builtins.int"}


def odd(data: bytes) -> list[str]:
    """Codes of what is odd in a pickle."""
    return [one.code for one in trace(data).oddities]


GET = b"cbuiltins\ngetattr\n"


@pytest.mark.parametrize(("owner", "expected"), [
    (b"ctyping\nList\n", []), (b"cbuiltins\ndict\n", []), (b"ccollections.abc\nCallable\n", []),
    (b"cmodule\nOuter.Inner\n", []), (b"cmodule\n__builtins__\n", ["pickle_computed_global"]),
    (b"]", ["pickle_computed_global"]), (b"}", ["pickle_computed_global"]),
    (b"csome\nhelper\n", ["pickle_computed_global"]),
])  # fmt: skip
def test_a_subscript_is_of_a_class(owner: bytes, expected: list[str]) -> None:
    """Types with parameters are written so; a value out of anything else is one that the pickle computes."""
    assert odd(call("_operator", "getitem", owner, text("key")) + b".") == expected


def test_bytes_that_are_loaded_stand_in_the_file() -> None:
    """As they are, or as Python 2 wrote them; whatever else makes them, they were not searched."""
    written = (b"C\x02N.", call("_codecs", "encode", text("N."), text("latin1")))
    computed = (call("builtins", "bytes", b"]K\x4ea"), call("_codecs", "encode", text("N."), text("utf-16-le")),
                call("_operator", "getitem", b"ca\nA\n", b"K\x00"))  # fmt: skip
    for one in written:
        assert odd(call("torch.storage", "_load_from_bytes", one) + b".") == []
    for one in computed:
        assert odd(call("torch.storage", "_load_from_bytes", one) + b".") == ["pickle_computed_call"]


def test_a_bound_method_that_is_given_away_is_a_call() -> None:
    """Looked up it does nothing, and a partial may keep it; given to a rebuilder, that may call it."""
    method = GET + b"(cpathlib\nPath\n)R" + text("unlink") + b"tR"
    assert odd(method + b".") == odd(call("functools", "partial", method) + b".") == []
    assert odd(call("numpy.random._pickle", "__generator_ctor", b"N", method) + b".") == ["pickle_computed_call"]


def test_a_logger_is_not_the_pickles_to_change() -> None:
    """Had by its name it is nothing; attributes and items set on it stay with the program."""
    logger = call("logging", "getLogger", text("name"))
    assert odd(logger + b".") == []
    assert odd(logger + b"}" + text("disabled") + b"\x88sb.") == ["pickle_type_confusion"]
    assert odd(logger + text("disabled") + b"\x88s.") == ["pickle_type_confusion"]


def test_attributes_of_attributes_lead_anywhere() -> None:
    """One step is a method, and is told by its name; two reach the modules that an object's own module imports."""
    method = GET + b"(cpathlib\nPath\n)R" + text("parent") + b"tR"
    assert uses(method + b".")["pathlib.Path.parent"] == "referenced"
    assert odd(GET + b"(" + method + text("unlink") + b"tR.") == ["pickle_computed_global"]


@pytest.mark.parametrize("more", [b"N" + b"a", b"(NNe", text("k") + b"Ns", b"}b", b"(N\x90"])
def test_an_object_is_not_changed_after_its_state_was_set(more: bytes) -> None:
    """Values, pairs, state: picklers keep that order. Behind the state, methods could be the state's own functions."""
    made = b"cm\nNet\n)\x81"
    assert odd(made + b"(NNe" + text("k") + b"Ns" + b"}" + text("a") + b"Nsb.") == []
    assert odd(made + b"}" + text("a") + b"Nsb" + more + b".") == ["pickle_type_confusion"]


@pytest.mark.parametrize("name", ["append", "extend", "add", "get", "items", "update", "__setstate__"])
def test_a_function_under_the_name_of_a_method_is_named(name: str) -> None:
    """What takes up a state calls it in the method's place. Plain values of that name are attributes like any other."""
    made = b"cargparse\nNamespace\n)\x81"
    for function in (b"cm\nf\n", call("functools", "partial", b"cm\nf\n"), GET + b"(cm\nNet\n)R" + text("run") + b"tR"):
        for state in (b"}" + text(name) + function + b"s", b"N}" + text(name) + function + b"s\x86"):
            assert odd(made + state + b"b.") == ["pickle_type_confusion"]
    assert odd(made + b"}" + text(name) + b"]sb.") == odd(made + b"}" + text("run") + b"cm\nf\nsb.") == []


def test_keywords_are_given_to_what_makes_an_object() -> None:
    """NEWOBJ_EX hands them to `__new__`, which may call them."""
    assert uses(b"cm\nNet\n)}" + text("key") + b"cm\nf\ns\x92.")["m.f"] == "called"


def test_an_object_with_keywords_is_made_by_a_partial() -> None:
    """As picklers of protocols 2 and 3 write it; any other partial that is called is a call of what it holds."""
    new = GET + b"(cm\nNet\n" + text("__new__") + b"tR"
    made = call("functools", "partial", new) + b"(" + new + b"(cm\nNet\nt}" + text("key") + b"cm\nf\nsNtb)R."
    assert odd(made) == []
    assert (uses(made)["m.Net"], uses(made)["m.f"]) == ("created", "called")
    for other in (b"cm\nrun\n", GET + b"(cm\nNext\n" + text("__new__") + b"tR"):
        called = call("functools", "partial", b"cm\nnone\n") + b"(" + other + b"(cm\nNet\nt}Ntb)R."
        assert odd(called) == ["pickle_computed_call"]
    assert uses(call("functools", "partial", b"cm\nnone\n") + b"(cm\nrun\n)}Ntb)R.")["m.run"] == "called"
