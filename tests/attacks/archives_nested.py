"""Attacks by archives in archives and by two formats in the same bytes: rows A11 and A16 of the threat catalogue."""

from __future__ import annotations

import io
import struct

import h5py
import numpy as np

from tests.attacks.archives import GOOD, ROW, STORAGE, VERSION, evil
from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.opcodes import PROTO, STOP, system
from tests.attacks.torch_files import payload
from tests.attacks.zips import DEFLATED, Entry, archive, local_header

ATTACKS = Attacks()

# Row A11: archives in archives


def _nested(levels: int, inner: bytes) -> bytes:
    for level in range(levels):
        inner = archive([Entry(b"level%d.zip" % level, inner, DEFLATED)])
    return inner


@ATTACKS("A11-01", source=ROW, expects=named("pickle_global", "critical", "level0.zip!/model.pkl"))
def archive_in_an_archive(trap: Trap) -> bytes:
    """A pickle in a zip in a zip: opened."""
    return _nested(1, archive([Entry(b"model.pkl", payload(trap))]))


@ATTACKS("A11-02", source=ROW, expects=refused("unknown_format"))
def archives_eight_deep(trap: Trap) -> bytes:
    """Eight zips around a pickle: further in than is looked."""
    return _nested(8, archive([Entry(b"model.pkl", payload(trap))]))


def _quine() -> bytes:
    """A zip whose only member is a stored zip with the same name, and so on until it does not fit any more."""
    made = archive([Entry(b"r/r.zip", b"")])
    for _ in range(60):
        made = archive([Entry(b"r/r.zip", made)])
    return made


@ATTACKS("A11-03", source="https://research.swtch.com/zip (quine)", expects=refused("unknown_format"))
def archives_without_end(trap: Trap) -> bytes:
    """Sixty zips in one another, all alike, as far as a quine can be told from them."""
    return _quine()


@ATTACKS("A11-04", source="42.zip", expects=refused("unknown_format"))
def archives_that_multiply(trap: Trap) -> bytes:
    """Sixteen zips in each of sixteen zips, each of megabytes: 42.zip in small."""
    inner = archive([Entry(b"0.txt", bytes(1_000_000), DEFLATED)])
    for _ in range(4):
        inner = archive([Entry(b"lib%d.zip" % at, inner, DEFLATED) for at in range(16)])
    return inner


# Two formats in the same bytes (A16)


@ATTACKS("A16-01", source="fickling test_polyglot.py", expects=named("polyglot", "medium", "@"))
def pickle_and_zip(trap: Trap) -> bytes:
    """A pickle in front, a zip archive at the end: PyTorch's old loader reads one, tools that scan the other."""
    clean = PROTO[2] + b"}" + STOP
    return clean + archive([GOOD, STORAGE, VERSION], before=b"", shifted=False)


@ATTACKS("A16-02", source="fickling test_polyglot.py", expects=named("pickle_global", "critical", "data.pkl"))
def clean_pickle_and_evil_zip(trap: Trap) -> bytes:
    """The pickle in front is harmless, the one in the archive at the end is not."""
    return PROTO[2] + b"}" + STOP + archive([evil(trap), VERSION], shifted=False)


@ATTACKS("A16-03", source="fickling test_polyglot.py", expects=named("pickle_global", "critical", "@"))
def evil_pickle_and_clean_zip(trap: Trap) -> bytes:
    """The other way round."""
    return PROTO[2] + system(trap.command) + STOP + archive([GOOD, STORAGE, VERSION], shifted=False)


@ATTACKS("A16-04", source=ROW, expects=named("pickle_global", "critical", "data.pkl"))
def gguf_and_zip(trap: Trap) -> bytes:
    """A GGUF model in front, a file of torch.save at the end."""
    gguf = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 20) + b"general.architecture"
    gguf += struct.pack("<IQ", 8, 5) + b"llama"
    return gguf + bytes(-len(gguf) % 32) + archive([evil(trap), VERSION], shifted=False)


@ATTACKS("A16-05", source=ROW, expects=named("polyglot", "medium", "@"))
def safetensors_and_zip(trap: Trap) -> bytes:
    """A safetensors model whose last tensor is a zip archive."""
    inner = archive([evil(trap), VERSION], shifted=False)
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (len(inner), len(inner))
    return struct.pack("<Q", len(header)) + header + inner


@ATTACKS("A16-06", source=ROW, expects=refused("unknown_format"))
def pdf_and_zip(trap: Trap) -> bytes:
    """A PDF document with an archive behind it is a PDF document."""
    return b"%PDF-1.7\n" + bytes(200) + archive([evil(trap), VERSION], shifted=False)


def _weights() -> bytes:
    """Keras weights in HDF5 behind a user block of 512 bytes."""
    out = io.BytesIO()
    with h5py.File(out, "w", userblock_size=512) as file:
        group = file.create_group("layers/dense/vars")
        group["0"] = np.ones((4, 3), "float32")
    return out.getvalue()


@ATTACKS("A16-07", source=ROW, expects=named("pickle_global", "critical", "m/data.pkl"))
def hdf5_and_zip(trap: Trap) -> bytes:
    """HDF5 behind a user block that is the header of a zip entry: Keras loads one, PyTorch the other."""
    content = bytes(512 - 35) + _weights()[512:]
    return archive([Entry(b"m/pad", content), evil(trap), STORAGE, VERSION])


@ATTACKS("A16-10", source=ROW, expects=named("polyglot", "medium", "@"))
def hdf5_and_clean_zip(trap: Trap) -> bytes:
    """That there are two is told, even where neither does harm."""
    content = bytes(512 - 35) + _weights()[512:]
    return archive([Entry(b"m/pad", content), GOOD, STORAGE, VERSION])


@ATTACKS("A16-08", source=ROW, expects=named("polyglot", "medium", "@0"))
def zip_and_tar(trap: Trap) -> bytes:
    """The first 512 bytes are the header of a zip entry and of a tar entry."""
    name = bytearray(512 - 30)
    name[94:118] = b"0000000\x000000000\x0000000000"[:24]
    header = bytearray(local_header(Entry(bytes(name), b"", local={"crc": 0})))
    header[124:136] = b"00000000000\0"
    header[156:157] = b"0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    odd = Entry(bytes(header[30:]), b"")
    return archive([odd, GOOD, STORAGE, VERSION])


@ATTACKS("A16-09", source=ROW, expects=harmless())
def signature_of_a_zip_in_a_tensor(trap: Trap) -> bytes:
    """Bytes of a tensor that only look like an end record are no archive."""
    data = b"PK\x05\x06" + bytes(18)
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (len(data), len(data))
    return struct.pack("<Q", len(header)) + header + data
