"""Attacks by where a pickle ends and where another begins: rows P5 and P6 of the threat catalogue."""

from __future__ import annotations

import gzip
import pickle
import zlib

from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.opcodes import (
    BUILD,
    EMPTY_DICT,
    EMPTY_LIST,
    EMPTY_TUPLE,
    MARK,
    NONE,
    POP,
    PROTO,
    REDUCE,
    SETITEM,
    SETITEMS,
    STOP,
    call,
    dictionary,
    number,
    raw,
    system,
    text,
    tuple_of,
)  # fmt: skip
from tests.attacks.opcodes import named as name_of

ATTACKS = Attacks()
CRITICAL = named("pickle_global", "critical", "@")
BROKEN = named("broken_after_payload", "high", "@")
NULLIFAI = "ReversingLabs 2025, nullifAI"
PICKLESCAN = "picklescan tests/test_scanner.py"

# Broken behind the payload (P5)

BREAKS = {
    "by_an_unknown_opcode": b"\xff",
    "by_the_end_of_the_file": b"",
    "within_a_string": b"X\xff\x00\x00\x00abc",
    "by_a_string_that_is_no_text": b"\x8c\x02\xff\xfe.",
    "by_a_list_as_a_key": EMPTY_DICT + EMPTY_LIST + NONE + SETITEM + STOP,
    "by_an_empty_stack": POP + POP + STOP,
    "by_a_memo_that_is_empty": b"h\x77.",
    "by_a_number_that_is_none": b"Iseven\n.",
    "by_digits_without_end": b"L" + b"9" * 5000 + b"L\n.",
    "by_a_protocol_of_the_future": b"\x80\x09.",
    "by_a_buffer_from_outside": b"\x97.",
    "by_half_of_a_pair": EMPTY_DICT + MARK + NONE + SETITEMS + STOP,
    "by_a_negative_length": b"\x8b\xff\xff\xff\xff.",
    "by_an_unquoted_string": b"Sabc\n.",
    "by_a_frame_without_an_end": b"\x95" + b"\xff" * 8,
}
for _number, (_how, _break) in enumerate(BREAKS.items(), start=1):

    def _broken(trap: Trap, end: bytes = _break) -> bytes:
        return PROTO[4] + system(trap.command) + end

    ATTACKS.add(f"P5-{_number:02}", f"broken_{_how}",
                f"The payload runs before the pickle breaks {_how.replace('_', ' ')}: too late.", NULLIFAI,
                _broken, BROKEN)  # fmt: skip


@ATTACKS("P5-20", source="picklescan malicious-invalid-bytes.pkl", expects=CRITICAL)
def broken_and_named(trap: Trap) -> bytes:
    """What was read before the break is still named for what it is."""
    return PROTO[4] + system(trap.command) + b"\xff\xfe\xfd"


@ATTACKS("P5-21", source=PICKLESCAN, expects=refused("malformed_file"))
def broken_before_the_payload(trap: Trap) -> bytes:
    """A pickle that breaks before the payload runs nothing, in no unpickler."""
    return PROTO[4] + b"\xff" + system(trap.command) + STOP


@ATTACKS("P5-22", source=NULLIFAI, expects=refused("unknown_format"))
def in_a_7z_archive(trap: Trap) -> bytes:
    """The pickle is packed by 7-Zip, which PyTorch does not open but a victim's script may."""
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(24) + PROTO[2] + system(trap.command) + STOP


# Several in one stream, other beginnings (P6)

CLEAN = PROTO[2] + dictionary(weights=EMPTY_LIST) + STOP


@ATTACKS("P6-01", source="picklescan malicious6.pkl", expects=CRITICAL)
def second_pickle(trap: Trap) -> bytes:
    """A harmless pickle, and another behind it that a program which loads twice gets."""
    return CLEAN + PROTO[2] + system(trap.command) + STOP


@ATTACKS("P6-02", source="modelaudit multiple_stream_attack.pkl", expects=CRITICAL)
def twentieth_pickle(trap: Trap) -> bytes:
    """Nineteen harmless ones before it."""
    return CLEAN * 19 + PROTO[2] + system(trap.command) + STOP


@ATTACKS("P6-03", source="security.md row P6", expects=CRITICAL)
def thousandth_pickle(trap: Trap) -> bytes:
    """So many harmless ones that a scanner which counts stops before."""
    return CLEAN * 999 + PROTO[2] + system(trap.command) + STOP


@ATTACKS("P6-04", source="security.md row P6", expects=CRITICAL)
def junk_between(trap: Trap) -> bytes:
    """Bytes that are no opcodes between the harmless pickle and the other one."""
    return CLEAN + b"\x00\xff\x13" * 700 + PROTO[2] + system(trap.command) + STOP


@ATTACKS("P6-05", source="security.md row P6", expects=CRITICAL)
def junk_between_without_a_protocol(trap: Trap) -> bytes:
    """The second pickle is of protocol 0: no mark says that it begins."""
    return CLEAN + b"\x00padding\x00" * 70 + b"cposix\nsystem\n(S'%s'\ntR." % trap.command.encode()


@ATTACKS("P6-06", source="picklescan malicious1_v0.pkl in .bin (CVE-2025-10155)", expects=CRITICAL)
def protocol_0_without_a_name(trap: Trap) -> bytes:
    """A text pickle under any name: what it is is told by content."""
    return b"c__builtin__\neval\n(S'%s'\ntR." % trap.python.replace("'", '"').encode()


@ATTACKS("P6-07", source="CVE-2025-1889", expects=CRITICAL)
def hidden_by_its_name(trap: Trap) -> dict[str, bytes]:
    """A pickle called `config.p`, beside a harmless file: the name decides nothing."""
    return {"README.txt": b"A model.\n", "config.p": PROTO[4] + system(trap.command) + STOP}


@ATTACKS("P6-08", source="picklescan pytorch_magic_bypass.pt", expects=CRITICAL)
def magic_number_computed(trap: Trap) -> bytes:
    """A file of old PyTorch whose magic number is the result of `eval`: scanners took it for a plain pickle."""
    magic = PROTO[2] + call(name_of("__builtin__", "eval"), text("0x1950A86A20F9469CFC6C")) + STOP
    return magic + PROTO[2] + b"M\xe9\x03." + PROTO[2] + system(trap.command) + STOP


@ATTACKS("P6-09", source="torch/serialization.py _legacy_load", expects=CRITICAL)
def in_the_system_description(trap: Trap) -> bytes:
    """A file of old PyTorch: the payload is in the third pickle, which no one reads but the loader."""
    magic = PROTO[2] + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + PROTO[2] + b"M\xe9\x03."
    return magic + PROTO[2] + system(trap.command) + STOP + CLEAN + PROTO[2] + EMPTY_LIST + STOP


@ATTACKS("P6-10", source="security.md row P6", expects=CRITICAL)
def behind_an_old_file(trap: Trap) -> bytes:
    """A whole file of old PyTorch, and a pickle behind its last storage."""
    magic = PROTO[2] + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + PROTO[2] + b"M\xe9\x03." + PROTO[2] + EMPTY_DICT + STOP
    return magic + CLEAN + PROTO[2] + EMPTY_LIST + STOP + PROTO[2] + system(trap.command) + STOP


@ATTACKS("P6-11", source="joblib", expects=CRITICAL)
def compressed_by_zlib(trap: Trap) -> bytes:
    """A pickle compressed as joblib does; it names NumPy, so that it is taken for an array."""
    clean = call(name_of("numpy", "dtype"), text("f4")) + POP
    return zlib.compress(PROTO[2] + clean + system(trap.command) + STOP)


@ATTACKS("P6-12", source="joblib", expects=CRITICAL)
def compressed_by_gzip(trap: Trap) -> bytes:
    """A pickle in a gzip file."""
    return gzip.compress(PROTO[2] + system(trap.command) + STOP, mtime=0)


@ATTACKS("P6-13", source="security.md row P6", expects=CRITICAL)
def begins_with_thousands_of_opcodes(trap: Trap) -> bytes:
    """No protocol mark, and nothing is named in the first 5,000 opcodes: it might be taken for a text."""
    return b"I1\n0" * 2500 + system(trap.command) + STOP


@ATTACKS("P6-14", source="security.md row P6", expects=CRITICAL)
def begins_with_a_long_string(trap: Trap) -> bytes:
    """No protocol mark; the first argument is longer than what is looked at to tell a format."""
    return b"S'" + b"a" * 9000 + b"'\n0" + system(trap.command) + STOP


@ATTACKS("P6-15", source="security.md row P6", expects=CRITICAL)
def begins_with_a_stack_global(trap: Trap) -> bytes:
    """Opcodes of protocol 4 without the mark that says so, which no unpickler asks for."""
    return text("os") + text("system") + b"\x93" + tuple_of(text(trap.command)) + REDUCE + STOP


@ATTACKS("P6-16", source="modelscan tests/test_modelscan.py (benign0)", expects=harmless())
def written_by_nobody_bad(trap: Trap) -> bytes:
    """Two harmless pickles in one stream are two harmless pickles."""
    return pickle.dumps({"a": [1.5] * 9}, 4)


@ATTACKS("P6-17", source="modelaudit steganographic_attack.pkl", expects=CRITICAL)
def in_the_lowest_bits(trap: Trap) -> bytes:
    """A payload spread over the lowest bits of weights needs code in the pickle that gathers it: that is named."""
    gather = "exec(bytes(int(x) & 1 for x in open(__file__, 'rb').read()))"
    return PROTO[4] + raw(bytes(800)) + POP + call(name_of("builtins", "exec"), text(gather)) + STOP


@ATTACKS("P6-18", source="PEP 307", expects=CRITICAL)
def stop_in_the_middle(trap: Trap) -> bytes:
    """A STOP at once, and the rest goes on with what a forgiving unpickler kept on its stack."""
    return PROTO[2] + NONE + STOP + system(trap.command) + EMPTY_TUPLE + BUILD + number(1) + STOP
