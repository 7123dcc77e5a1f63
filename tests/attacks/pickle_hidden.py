"""Attacks by pickles inside the strings of others, as they are, wrapped and computed: row P4 of the catalogue."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import pickle
import zlib

from tests.attacks.frame import Attacks, Trap, harmless, named
from tests.attacks.opcodes import (
    APPENDS,
    EMPTY_LIST,
    MARK,
    NONE,
    POP,
    PROTO,
    REDUCE,
    STOP,
    call,
    number,
    raw,
    stacked,
    system,
    text,
    tuple_of,
)
from tests.attacks.opcodes import named as name_of
from tests.attacks.pickles import COMPUTED, CRITICAL, MODELAUDIT, by_opcodes, os_system

ATTACKS = Attacks()
gadget = by_opcodes(ATTACKS)


# Pickles inside strings (P4)


def _plain(trap: Trap) -> bytes:
    return PROTO[4] + os_system(trap) + STOP


WRAPPINGS = {
    "as_bytes": lambda data: data,
    "as_base64": base64.b64encode,
    "as_base64_text": lambda data: base64.b64encode(data).decode(),
    "as_urlsafe_base64": lambda data: base64.urlsafe_b64encode(data).decode(),
    "as_base64_in_lines": lambda data: base64.encodebytes(data).decode(),
    "as_hex": lambda data: data.hex(),
    "as_zlib": zlib.compress,
    "as_gzip": lambda data: gzip.compress(data, mtime=0),
    "as_bzip2": bz2.compress,
    "as_xz": lzma.compress,
    "as_base64_of_zlib": lambda data: base64.b64encode(zlib.compress(data)).decode(),
    "as_hex_of_base64_of_gzip": lambda data: base64.b64encode(gzip.compress(data, mtime=0)).hex(),
    "as_base64_of_base64": lambda data: base64.b64encode(base64.b64encode(data)).decode(),
    "as_latin1_text": lambda data: data.decode("latin-1"),
}
for _number, (_how, _wrap) in enumerate(WRAPPINGS.items(), start=1):
    for _protocol, _letter in ((0, "a"), (2, "b"), (4, "c")):

        def _hidden(trap: Trap, wrap: object = _wrap, protocol: int = _protocol) -> bytes:
            return pickle.dumps({"weights": [0.5], "blob": wrap(_plain(trap))}, protocol)  # type: ignore[operator]

        ATTACKS.add(f"P4-{_number:02}{_letter}", f"nested_{_how}_protocol_{_protocol}",
                    f"A pickle hides in a string of another one, {_how.replace('_', ' ')}, protocol {_protocol}.",
                    f"{MODELAUDIT}/generators/generate_nested_pickle_assets.py", _hidden, CRITICAL)  # fmt: skip


@ATTACKS("P4-20", source=f"{MODELAUDIT} decode_exec_chain.pkl", expects=CRITICAL)
def decoded_and_loaded(trap: Trap) -> bytes:
    """`pickle.loads(base64.b64decode(text))`: both names are there, the payload is in the text."""
    inner = call(name_of("base64", "b64decode"), text(base64.b64encode(_plain(trap)).decode()))
    return PROTO[4] + call(name_of("pickle", "loads"), inner) + STOP


@ATTACKS("P4-21", source=MODELAUDIT, expects=CRITICAL)
def three_levels_deep(trap: Trap) -> bytes:
    """A pickle in a pickle in a pickle."""
    return pickle.dumps([pickle.dumps([_plain(trap)], 4)], 4)


@ATTACKS("P4-22", source="security.md row P4", expects=CRITICAL)
def behind_many_decoys(trap: Trap) -> bytes:
    """A thousand harmless strings that look like pickles stand before the one that is not harmless."""
    return pickle.dumps([*(pickle.dumps([number, "decoy decoy"], 4) for number in range(1000)), _plain(trap)], 4)


@ATTACKS("P4-23", source="security.md row P4", expects=named("pickle_unsearched", "high", "@"))
def more_decoys_than_are_looked_at(trap: Trap) -> bytes:
    """So many decoys that looking into all would take too long: said, and not called clean."""
    decoy = PROTO[4] + (NONE + POP) * 200_000 + NONE + STOP
    return pickle.dumps([zlib.compress(decoy + bytes([number])) for number in range(40)] + [_plain(trap)], 4)


@ATTACKS("P4-24", source="security.md row P4", expects=CRITICAL)
def in_a_large_string(trap: Trap) -> bytes:
    """The string is so long that it is passed over and not kept."""
    return pickle.dumps({"blob": PROTO[4] + os_system(trap) + POP + raw(bytes(100_000)) + STOP}, 4)


@ATTACKS("P4-25", source="security.md row P4", expects=CRITICAL)
def in_a_large_base64_text(trap: Trap) -> bytes:
    """The same as text in base64."""
    inner = PROTO[4] + os_system(trap) + POP + raw(bytes(100_000)) + STOP
    return pickle.dumps({"blob": base64.b64encode(inner).decode()}, 4)


@ATTACKS("P4-26", source="security.md row P4", expects=CRITICAL)
def nested_without_a_protocol(trap: Trap) -> bytes:
    """The hidden pickle begins with junk opcodes and has no protocol mark."""
    return pickle.dumps({"blob": b"I1\n0N0cos\nsystem\n(S'%s'\ntR." % trap.command.encode()}, 4)


@ATTACKS("P4-27", source="security.md row P4", expects=CRITICAL)
def nested_by_stack_global_only(trap: Trap) -> bytes:
    """The hidden pickle begins with the module's name."""
    return pickle.dumps({"blob": stacked("os", "system") + tuple_of(text(trap.command)) + REDUCE + STOP}, 4)


@ATTACKS("P4-30", source="security.md row P4", expects=harmless())
def strings_that_hide_nothing(trap: Trap) -> bytes:
    """Base64 of data, hex digests, names with newlines, bytes that only begin as a pickle does."""
    plain = {
        "a": base64.b64encode(bytes(range(200))),
        "b": "9f" * 32,
        "c": b"\x80\x04 no pickle at all",
        "d": "cat\ndog\n" * 9,
        "e": zlib.compress(bytes(5000)),
        "f": "copyreg\nfriends\n",
        "names": ["x" * 40] * 9,
    }
    return pickle.dumps(plain, 4)


# Bytes that become a pickle only while it is loaded


def hidden(trap: Trap) -> bytes:
    """A pickle that runs something."""
    return PROTO[2] + system(trap.command) + STOP


def loaded(value: bytes) -> bytes:
    """PyTorch's way of loading a storage out of bytes."""
    return call(stacked("torch.storage", "_load_from_bytes"), value)


gadget(
    "P4-40",
    "bytes_of_numbers",
    "Bytes are made of a list of numbers, and loaded.",
    lambda trap: loaded(
        call(stacked("builtins", "bytes"), EMPTY_LIST + MARK + b"".join(map(number, hidden(trap))) + APPENDS)
    ),
    COMPUTED,
)
gadget(
    "P4-41",
    "bytes_of_another_encoding",
    "A text whose characters are two bytes each.",
    lambda trap: loaded(
        call(stacked("_codecs", "encode"), text(hidden(trap).decode("utf-16-le", "replace")), text("utf-16-le"))
    ),
    COMPUTED,
)
gadget(
    "P4-42",
    "bytes_out_of_a_list",
    "They stand in a list, as something else.",
    lambda trap: loaded(
        call(stacked("_operator", "getitem"), EMPTY_LIST + MARK + raw(hidden(trap)) + APPENDS, number(0))
    ),
    COMPUTED,
)
gadget(
    "P4-43",
    "bytes_that_are_written",
    "Written as they are, they are searched.",
    lambda trap: loaded(raw(hidden(trap))),
    CRITICAL,
)
gadget(
    "P4-44",
    "bytes_as_python_2_wrote_them",
    "As a text of Latin characters.",
    lambda trap: loaded(call(stacked("_codecs", "encode"), text(hidden(trap).decode("latin-1")), text("latin1"))),
    CRITICAL,
)
gadget(
    "P4-45",
    "a_reversed_text",
    "Base64, backwards: only a chain of calls turns it round, and those are told.",
    lambda trap: call(
        stacked("pickle", "loads"),
        call(stacked("base64", "b64decode"), text(base64.b64encode(hidden(trap))[::-1].decode())),
    ),
    CRITICAL,
)
