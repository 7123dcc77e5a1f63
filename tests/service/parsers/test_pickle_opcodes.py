"""The inert pickle machine: agrees with `pickle` on plain data of every protocol, runs nothing, survives anything."""

from __future__ import annotations

import collections
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.pickle_opcodes import _TABLE
from service.parsers.pickle_types import Blob, Global, Instance, Persistent
from tests.service.parsers.pickles import call, text, trace

PROTOCOLS = range(6)

PLAIN: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    255,
    256,
    65536,
    -(2**31),
    2**31,
    2**63,
    -(2**200),
    0.0,
    -1.5,
    1e300,
    "",
    "a",
    "größe",
    "\ud800",
    "x" * 300,
    "line\nbreak",
    b"",
    b"bytes" * 100,
    (),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    [],
    [1, [2, [3]]],
    {},
    {"a": {"b": (1, None)}},
    {1: "x", None: 2, (1, 2): 3, 1.5: 4},
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20].encode("ascii", "replace").decode())
def test_plain_values_come_out_as_pickle_reads_them(value: Any, protocol: int) -> None:
    """Numbers, strings, tuples, lists and dictionaries of every protocol are what `pickle.loads` returns."""
    data = pickle.dumps(value, protocol)
    found = trace(data)
    assert found.broken is None
    assert found.end == len(data)
    assert found.oddities == []
    if isinstance(value, bytes) and protocol < 3:
        assert isinstance(found.value, Instance)  # written as a call of _codecs.encode, which is not made
    else:
        assert found.value == value


nested = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(min_size=0, max_size=80),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=5)
    ),
    max_leaves=30,
)


@settings(max_examples=150, deadline=None)
@given(value=nested, protocol=st.sampled_from([3, 4, 5]))
def test_any_nesting_of_plain_values_agrees_with_pickle(value: Any, protocol: int) -> None:
    """Property: what the machine builds equals what was pickled."""
    assert trace(pickle.dumps(value, protocol)).value == value


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    """Property: whatever the bytes are, a trace comes back and says what stopped it."""
    found = trace(data)
    assert found.broken is None or found.broken.info.detail


@settings(max_examples=200, deadline=None)
@given(
    codes=st.lists(st.sampled_from([code for code in range(256) if _TABLE[code] is not None]), max_size=60),
    tail=st.binary(max_size=40),
)
def test_no_sequence_of_opcodes_makes_it_raise(codes: list[int], tail: bytes) -> None:
    """Property: the same for streams made of valid opcodes only."""
    trace(bytes(codes) + tail)


def test_sets_and_bytearrays_of_newer_protocols() -> None:
    """Protocol 4's sets are sets; a bytearray's contents are kept as bytes."""
    assert trace(pickle.dumps({1, 2}, 4)).value == {1, 2}
    assert trace(pickle.dumps(frozenset({1}), 4)).value == frozenset({1})
    assert trace(pickle.dumps(bytearray(b"abc"), 5)).value == b"abc"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_and_cyclic_values_keep_their_identity(protocol: int) -> None:
    """Memo references give the same object, also inside itself."""
    cycle: list[Any] = []
    cycle.append(cycle)
    found = trace(pickle.dumps([cycle, cycle], protocol)).value
    assert found[0] is found[1]
    assert found[0][0] is found[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_objects_become_instances_with_their_state(protocol: int) -> None:
    """An object of a class is a record of class, state and items; the class is not looked up."""
    data = pickle.dumps(collections.OrderedDict(a=1), protocol)
    found = trace(data).value
    assert isinstance(found, Instance)
    assert found.path == "collections.OrderedDict"
    assert found.pairs == {"a": 1} or found.args == ([["a", 1]],)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
def test_new_style_objects_are_created_not_called(protocol: int) -> None:
    """`copyreg._reconstructor` (protocols 0 and 1) and NEWOBJ give one and the same: created, with state."""
    found = trace(pickle.dumps(Custom(), protocol))
    assert found.value.how == "created"
    assert found.value.maker.name == "Custom"
    assert found.value.state == {"size": 3}


class Custom:
    def __init__(self) -> None:
        self.size = 3


def test_nothing_is_ever_run(tmp_path: Path) -> None:
    """A pickle that would create a file does not, whichever opcode calls."""
    marker = tmp_path / "marker"
    command = text(f"touch {marker}")
    for data in (
        call("os", "system", command) + b".",
        b"(" + command + b"ios\nsystem\n.",
        b"(cos\nsystem\n" + command + b"o.",
        text("os") + text("system") + b"\x93" + command + b"\x85R.",
        b"cos\nsystem\n(" + command + b"t\x81.",
    ):
        assert trace(data).broken is None
    assert not marker.exists()
    assert os.system.__module__ in ("posix", "nt", "os")


def test_names_of_python_2_are_mapped() -> None:
    """`__builtin__` and `copy_reg` are what an unpickler of today reads them as."""
    assert trace(b"c__builtin__\neval\n.").value.path == "builtins.eval"


def test_the_strongest_use_of_a_global_is_kept() -> None:
    """Named twice, called once: it counts as called, at the place of the call."""
    found = trace(b"cos\nsystem\n0" + call("os", "system", b"N") + b".")
    use = found.uses["os", "system"]
    assert (use.how, use.offset) == ("called", 12 + len("cos\nsystem\n(Nt"))


def test_a_lookup_of_an_enumeration_member_is_a_dotted_global() -> None:
    """Python 3.11 writes an enumeration member as `getattr(Class, name)`."""
    found = trace(call("builtins", "getattr", b"cmy.module\nColor\n", text("RED")) + b".")
    assert isinstance(found.value, Global)
    assert found.value.path == "my.module.Color.RED"


def test_arguments_that_are_called_later_count_as_called() -> None:
    """`_rebuild_from_type_v2(f, ...)` and `functools.reduce(f)` hand the call on."""
    for module, name in (("torch._tensor", "_rebuild_from_type_v2"), ("functools", "reduce")):
        found = trace(call(module, name, b"cos\nsystem\n", b"N") + b".")
        assert found.uses["os", "system"].how == "called"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"N" + text("x") + b"\x93.", "pickle_computed_global"),
        (b"\x82\x01.", "pickle_extension"),
        (b"\x84\x01\x00\x00\x00.", "pickle_extension"),
        (text("s") + b"(tR.", "pickle_computed_call"),
        (call("builtins", "getattr", b"N", text("x")) + b"(tR.", "pickle_computed_call"),
        (b"]" + text("a") + b"Ns.", "pickle_type_confusion"),
        (b"}Na.", "pickle_type_confusion"),
        (b"]}b.", "pickle_type_confusion"),
        (b"cos\npath\n}b.", "pickle_type_confusion"),
        (b"cos\nsystem\nNR.", "pickle_type_confusion"),
        (b"NN.", "pickle_leftovers"),
        (b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N\x8c\x01a0.", "pickle_frame"),
    ],
)
def test_what_no_pickler_writes_is_noted(data: bytes, code: str) -> None:
    """Computed names and calls, items on the wrong kind of thing, extension codes, leftovers, crossed frames."""
    assert code in {odd.code for odd in trace(data).oddities}


@pytest.mark.parametrize("protocol", [4, 5])
def test_frames_of_real_picklers_are_not_odd(protocol: int) -> None:
    """Many frames, and large strings between them, are as the pickler writes them."""
    value = [os.urandom(70_000), [str(number) for number in range(30_000)], os.urandom(200_000)]
    found = trace(pickle.dumps(value, protocol))
    assert found.broken is None
    assert found.oddities == []
    assert found.value[1] == value[1]
    assert [type(item) for item in found.value] == [Blob, list, Blob]


def test_long_strings_are_skipped_where_they_lie() -> None:
    """A string above 64 KiB is kept as its place; nothing of it is read."""
    data = b"B" + struct.pack("<I", 100_000) + b"x" * 100_000 + b"."
    found = trace(data).value
    assert (found.offset, found.length, found.is_text) == (5, 100_000, False)


def test_persistent_ids_stay_what_they_are() -> None:
    """Without a container an id is kept as given."""
    found = trace(b"Pname\n.").value
    assert isinstance(found, Persistent)
    assert found.id == "name"
    assert trace(b"(K\x01K\x02tQ.").value.id == (1, 2)


@pytest.mark.parametrize(
    ("data", "error", "offset"),
    [
        (b"", TruncatedFile, 0),
        (b"X\xff\x00\x00\x00abc", TruncatedFile, 5),
        (b"Sabc", TruncatedFile, 1),
        (b"N\xff.", MalformedFile, 1),
        (b"NR.", MalformedFile, 1),
        (b"h\x05.", MalformedFile, 0),
        (b"\x80\x09.", MalformedFile, 0),
        (b"}]Ns.", MalformedFile, 3),
        (b"(Nd.", MalformedFile, 2),
        (b"\x8b\xff\xff\xff\xff.", MalformedFile, 0),
        (b"Inot a number\n.", MalformedFile, 0),
        (b"\x97.", MalformedFile, 0),
        (b"\x95" + b"\xff" * 8, TruncatedFile, 9),
    ],
)
def test_a_broken_stream_says_where(data: bytes, error: type[Exception], offset: int) -> None:
    """Truncated arguments, unknown opcodes, missing operands, unhashable keys: the error names the byte."""
    found = trace(data)
    assert type(found.broken) is error
    assert found.broken is not None
    assert found.broken.info.offset == offset


def test_what_came_before_the_break_is_kept() -> None:
    """The call that a real unpickler would have made before failing is in the trace (P5)."""
    found = trace(b'cos\nsystem\n(S"x"\ntR\xff')
    assert isinstance(found.broken, MalformedFile)
    assert found.uses["os", "system"].how == "called"


def test_opcodes_are_counted_and_bounded() -> None:
    """Exactly the limit passes, one more does not (P7)."""
    assert trace(b"N0" * 4 + b"N.", pickle_opcodes=10).broken is None
    found = trace(b"N0" * 5 + b"N.", pickle_opcodes=10)
    assert isinstance(found.broken, LimitExceeded)
    assert found.broken.info.extra["limit"] == "pickle_opcodes"


def test_long_numbers_and_lines_are_bounded() -> None:
    """A number or line above the argument limit is refused before it is converted."""
    number = trace(b"\x8b" + struct.pack("<i", 2000) + b"\x01" * 2000 + b".", pickle_argument_bytes=1000)
    assert isinstance(number.broken, LimitExceeded)
    line = trace(b"S" + b"'" * 200_000, pickle_argument_bytes=1000)
    assert isinstance(line.broken, LimitExceeded)


def test_keys_that_cost_more_than_they_hold_are_refused() -> None:
    """A tuple nested so that hashing it would recurse or double at each level is no key."""
    deep = b"}" + b")" + b"\x85" * 5000 + b"Ns."
    doubled = b"}" + b")" + b"2\x86" * 40 + b"Ns."
    assert isinstance(trace(deep).broken, MalformedFile)
    assert isinstance(trace(doubled).broken, MalformedFile)


def test_depth_is_no_problem() -> None:
    """100,000 lists inside each other are built and let go without recursion."""
    found = trace(b"]" * 100_000 + b"a" * 99_999 + b".")
    assert found.broken is None
    assert isinstance(found.value, list)


def test_every_opcode_of_the_standard_library_is_known() -> None:
    """The table has exactly the opcodes that pickletools lists."""
    import pickletools

    assert {code for code in range(256) if _TABLE[code] is not None} == {
        ord(opcode.code) for opcode in pickletools.opcodes
    }
