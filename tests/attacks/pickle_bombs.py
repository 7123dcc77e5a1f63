"""Attacks by size: small pickles that cost much time or memory, rows P7 (and T8) of the threat catalogue."""

from __future__ import annotations

import random
import struct
import zipfile
import zlib

from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.opcodes import (
    APPENDS,
    DUP,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    LIST,
    MARK,
    MEMOIZE,
    NONE,
    POP,
    PROTO,
    REDUCE,
    SETITEMS,
    STOP,
    TUPLE,
    call,
    long1,
    number,
    raw,
    system,
    text,
    tuple_of,
)  # fmt: skip
from tests.attacks.opcodes import named as name_of
from tests.attacks.torch_files import archive

ATTACKS = Attacks()
KILO = 1000
MODULUS = 2**61 - 1
"""Python's hash of a whole number is its remainder by this: multiples of it all fall on one another."""
EXPANSION = "fickling test_expansion_attack_analysis.py; coldwaterq/pickle_injector"
HASHES = "oCERT-2011-003 (hash collisions)"
ROW = "security.md row P7"


@ATTACKS("P7-01", source=ROW, expects=harmless())
def opcode_flood(trap: Trap) -> bytes:
    """900,000 opcodes that do nothing."""
    return PROTO[2] + (NONE + POP) * 450_000 + NONE + STOP


@ATTACKS("P7-03", source=ROW, expects=refused("limit_exceeded", "pickle_argument_bytes"))
def long_number(trap: Trap) -> bytes:
    """LONG4 of 100 MB, of which hardly anything is there."""
    return PROTO[2] + b"\x8b" + struct.pack("<i", 100_000_000) + bytes(1000) + STOP


@ATTACKS("P7-04", source="CVE-2020-10735", expects=refused("malformed_file"))
def number_of_many_digits(trap: Trap) -> bytes:
    """A number of 900,000 digits as text: turning it into binary takes quadratic time."""
    return b"cnumpy\ndtype\n0L" + b"7" * 900_000 + b"L\n."


@ATTACKS("P7-05", source="CVE-2020-10735", expects=harmless())
def number_of_many_bits(trap: Trap) -> bytes:
    """A binary number of 900,000 bytes: reading it is cheap, writing it in digits would not be."""
    return PROTO[2] + EMPTY_DICT + text("size") + b"\x8b" + struct.pack("<i", 900_000) + b"\x7f" * 900_000 + b"s" + STOP


@ATTACKS("P7-06", source=ROW, expects=refused("truncated_file"))
def line_without_end(trap: Trap) -> bytes:
    """A string of protocol 0 whose line never ends."""
    return b"cnumpy\ndtype\n0S'" + b"a" * 900_000


@ATTACKS("P7-07", source=EXPANSION, expects=harmless())
def billion_laughs_by_memo(trap: Trap) -> bytes:
    """Lists of lists of lists, each ten times the one before by the memo: 10^60 values in a few hundred bytes."""
    levels = b"".join(EMPTY_LIST + MARK + b"h%c" % level * 10 + APPENDS + MEMOIZE + POP for level in range(60))
    return PROTO[4] + text("lol") + MEMOIZE + POP + levels + b"h\x3c" + STOP


@ATTACKS("P7-08", source=EXPANSION, expects=harmless())
def billion_laughs_by_dup(trap: Trap) -> bytes:
    """The same by DUP, nine levels of nine."""
    return PROTO[4] + MARK * 9 + text("lol") + (DUP * 9 + LIST) * 9 + STOP


@ATTACKS("P7-09", source=EXPANSION, expects=harmless())
def billion_laughs_as_a_configuration(trap: Trap) -> bytes:
    """Dictionaries that double on each of 200 levels, where a configuration is described."""

    def level(at: int) -> bytes:
        return EMPTY_DICT + MARK + text("a") + b"h%c" % at + text("b") + b"h%c" % at + SETITEMS + MEMOIZE + POP

    levels = b"".join(level(at) for at in range(200))
    return PROTO[4] + text("lol") + MEMOIZE + POP + levels + EMPTY_DICT + text("config") + b"h\xc8" + b"s" + STOP


@ATTACKS("P7-10", source=ROW, expects=harmless())
def nested_a_hundred_thousand_deep(trap: Trap) -> bytes:
    """Lists in lists: whoever follows them by recursion runs out of stack."""
    return PROTO[2] + EMPTY_LIST * 100_000 + b"a" * 99_999 + STOP


@ATTACKS("P7-11", source=ROW, expects=harmless())
def tuples_a_hundred_thousand_deep(trap: Trap) -> bytes:
    """Tuples in tuples."""
    return PROTO[2] + EMPTY_TUPLE + b"\x85" * 100_000 + STOP


@ATTACKS("P7-12", source=ROW, expects=refused("malformed_file"))
def deep_key(trap: Trap) -> bytes:
    """A tuple of 100,000 levels as a dictionary's key: hashing it recurses in C."""
    return PROTO[2] + EMPTY_DICT + EMPTY_TUPLE + b"\x85" * 100_000 + NONE + b"s" + STOP


@ATTACKS("P7-13", source=ROW, expects=refused("malformed_file"))
def wide_key(trap: Trap) -> bytes:
    """A tuple that doubles on each of 60 levels as a key: hashing it would take 2^60 steps."""
    return PROTO[4] + EMPTY_DICT + EMPTY_TUPLE + (DUP + b"\x86") * 60 + NONE + b"s" + STOP


@ATTACKS("P7-14", source=ROW, expects=refused("malformed_file"))
def equal_sets(trap: Trap) -> bytes:
    """Two sets of sets that are equal but not the same: telling so takes 2^30 steps."""

    def double(inner: bytes) -> bytes:
        return MARK + tuple_of(inner, b"K\x01") + tuple_of(inner, b"K\x02") + b"\x91"

    def tower(first: int) -> bytes:
        made = MARK + NONE + b"\x91" + b"r" + struct.pack("<I", first) + POP
        for level in range(30):
            made += double(b"j" + struct.pack("<I", first + level)) + b"r" + struct.pack("<I", first + level + 1) + POP
        return made + b"j" + struct.pack("<I", first + 30)

    return PROTO[4] + EMPTY_DICT + tower(0) + NONE + b"s" + tower(1000) + NONE + b"s" + STOP


@ATTACKS("P7-15", source=HASHES, expects=refused("limit_exceeded", "pickle_keys"))
def keys_that_collide(trap: Trap) -> bytes:
    """50,000 numbers with one hash as keys: filling the dictionary takes quadratic time."""
    keys = b"".join(long1(MODULUS * at, 12) + NONE for at in range(1, 50_001))
    return PROTO[2] + EMPTY_DICT + MARK + keys + SETITEMS + STOP


@ATTACKS("P7-16", source=HASHES, expects=refused("limit_exceeded", "pickle_keys"))
def members_of_a_set_that_collide(trap: Trap) -> bytes:
    """The same in a set, each within a tuple."""
    keys = b"".join(long1(MODULUS * at, 12) + b"\x85" for at in range(1, 40_001))
    return PROTO[4] + b"\x8f" + MARK + keys + b"\x90" + STOP


@ATTACKS("P7-17", source=HASHES, expects=refused("malformed_file"))
def places_in_the_memo_that_collide(trap: Trap) -> bytes:
    """PUT of protocol 0 takes any number for a place in the memo."""
    return b"cnumpy\ndtype\n" + b"".join(b"p%d\n" % (MODULUS * at) for at in range(1, 30_001)) + STOP


@ATTACKS("P7-18", source="CPython Modules/_pickle.c (memo is an array)", expects=named("pickle_memo", "medium", "@"))
def place_far_out_in_the_memo(trap: Trap) -> bytes:
    """LONG_BINPUT at 4 billion: an unpickler in C makes room for all places before it, 64 GB."""
    return PROTO[2] + EMPTY_DICT + b"r\xff\xff\xff\xff" + STOP


@ATTACKS("P7-19", source=ROW, expects=harmless())
def sets_without_number(trap: Trap) -> bytes:
    """900,000 empty sets, the largest of the empty things."""
    return PROTO[4] + b"\x8f" * 450_000 + b"0" * 449_999 + STOP


@ATTACKS("P7-20", source=ROW, expects=refused("truncated_file"))
def marks_without_number(trap: Trap) -> bytes:
    """950,000 marks."""
    return PROTO[4] + MARK * 950_000


@ATTACKS("P7-21", source=ROW, expects=named("pickle_global", "high", "@"))
def names_without_number(trap: Trap) -> bytes:
    """60,000 unknown names, each called: the list of dangers is bounded, the worst first."""
    return PROTO[2] + b"".join(b"cm%d\nf\n)R0" % at for at in range(60_000)) + NONE + STOP


@ATTACKS("P7-22", source=ROW, expects=named("broken_after_payload", "high", "@"))
def payload_among_names_without_number(trap: Trap) -> bytes:
    """A payload behind 50,000 other names: more than are looked at, and what is said is grave enough."""
    return PROTO[2] + b"".join(b"cm%d\nf\n)R0" % at for at in range(50_000)) + system(trap.command) + STOP


@ATTACKS("P7-33", source=ROW, expects=named("pickle_global", "critical", "@"))
def payload_among_many_names(trap: Trap) -> bytes:
    """A payload behind 15,000 other names is still named."""
    return PROTO[2] + b"".join(b"cm%d\nf\n)R0" % at for at in range(15_000)) + system(trap.command) + STOP


def _packed(body: bytes) -> bytes:
    """A pickle of `body` in a deflated archive, with as much noise as keeps the ratio below what is refused."""
    noise = random.Random(5).randbytes(len(body) // 150)  # noqa: S311 - filling, not a secret
    return archive({"m/data.pkl": PROTO[4] + raw(noise) + POP + body + NONE + STOP}, zipfile.ZIP_DEFLATED)


PACKED = {
    "nothing": (NONE + POP) * 2_600_000,
    "calls": name_of("collections", "OrderedDict") + b"q\x000" + b"h\x00)R0" * 1_200_000,
    "places": EMPTY_LIST + b"q\x00" + b"h\x000" * 1_500_000,
    "lists": EMPTY_LIST * 4_000_000,
    "old_objects": b"(icollections\nOrderedDict\n0" * 400_000,
}
for _number, (_what, _body) in enumerate(PACKED.items(), start=40):

    def _unpacking(trap: Trap, body: bytes = _body) -> bytes:
        return _packed(body)

    ATTACKS.add(f"P7-{_number}", f"unpacks_to_{_what}_without_number",
                "A small archive unpacks to megabytes of opcodes: they are held to what was sent.", ROW, _unpacking,
                refused("limit_exceeded", "pickle_opcodes"))  # fmt: skip


@ATTACKS("P7-45", source=ROW, expects=refused("limit_exceeded", "pickle_sets"))
def sets_beyond_number(trap: Trap) -> bytes:
    """900,000 sets."""
    return PROTO[4] + b"\x8f" * 900_000


@ATTACKS("P7-46", source=ROW, expects=named("pickle_unsearched", "high", "@"))
def more_strings_than_are_looked_into(trap: Trap) -> bytes:
    """Hundreds of thousands of strings, packed: what is behind the last one looked into is not known."""
    return _packed(EMPTY_LIST + MARK + raw(b"innocent text") * 400_000 + APPENDS + POP)


@ATTACKS("P7-23", source=ROW, expects=harmless())
def strings_without_number(trap: Trap) -> bytes:
    """70,000 short strings, which are all looked into."""
    return PROTO[4] + EMPTY_LIST + MARK + (raw(b"\x80\x04no pickle") + MEMOIZE) * 70_000 + APPENDS + STOP


@ATTACKS("P7-24", source=ROW, expects=harmless())
def base64_without_number(trap: Trap) -> bytes:
    """30,000 strings of base64 that hide nothing."""
    return PROTO[4] + EMPTY_LIST + MARK + text("QUJDREVGR0hJSktMTU5PUFFS") * 30_000 + APPENDS + STOP


@ATTACKS("P7-25", source=ROW, expects=named("pickle_unsearched", "high", "@"))
def compressed_strings_without_number(trap: Trap) -> bytes:
    """5,000 strings that unpack to a megabyte of zeros each: unpacking is bounded for all of them together."""
    packed = zlib.compress(b"N0" * 40_000, 9)
    return PROTO[4] + EMPTY_LIST + MARK + raw(packed) * 4_000 + APPENDS + STOP


@ATTACKS("P7-26", source=ROW, expects=harmless())
def calls_of_calls(trap: Trap) -> bytes:
    """A call of a call of a call, 100,000 deep, of what only makes data."""
    return PROTO[2] + name_of("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE + STOP


@ATTACKS("P7-27", source=ROW, expects=named("pickle_computed_call", "high", "@"))
def calls_of_results(trap: Trap) -> bytes:
    """What a call makes is called again, 200,000 times."""
    return PROTO[2] + name_of("collections", "OrderedDict") + b")R" * 200_000 + STOP


@ATTACKS("P7-28", source=ROW, expects=harmless())
def one_tuple_again_and_again(trap: Trap) -> bytes:
    """A tuple of 250 numbers is the key of 100,000 look-ups."""
    key = MARK + b"K\x01" * 250 + TUPLE + b"q\x00" + POP
    return PROTO[2] + key + EMPTY_DICT + (b"h\x00" + NONE + b"s") * 100_000 + STOP


@ATTACKS("P7-29", source=ROW, expects=harmless())
def wide_list_in_the_memo(trap: Trap) -> bytes:
    """A list of 100,000 values is appended to itself 100,000 times."""
    return PROTO[2] + EMPTY_LIST + b"q\x00" + MARK + NONE * 100_000 + APPENDS + (b"h\x00" + b"a") * 100_000 + STOP


@ATTACKS("P7-30", source=ROW, expects=named("pickle_allocation", "medium", "@"))
def bytes_without_end(trap: Trap) -> bytes:
    """`bytearray(10**12)`: a harmless call that takes all memory of who loads it."""
    return PROTO[2] + call(name_of("builtins", "bytearray"), long1(10**12, 9)) + STOP


@ATTACKS("P7-31", source=ROW, expects=named("pickle_allocation", "medium", "@"))
def list_of_a_range(trap: Trap) -> bytes:
    """`list(range(10**12))`."""
    return PROTO[2] + call(name_of("builtins", "list"), call(name_of("builtins", "range"), number(10**12))) + STOP


@ATTACKS("P7-32", source="numpy/core/multiarray", expects=named("pickle_allocation", "medium", "@"))
def array_without_end(trap: Trap) -> bytes:
    """`_reconstruct(ndarray, (10**12,), b"b")` makes an array of a terabyte before its content is read."""
    made = call(name_of("numpy.core.multiarray", "_reconstruct"), name_of("numpy", "ndarray"),
                tuple_of(number(10**12)), raw(b"b"))  # fmt: skip
    return PROTO[2] + made + STOP
