"""Attacks by the index of a TensorFlow checkpoint: row V3 of the threat catalogue."""

from __future__ import annotations

from typing import Any

from service.parsers.sstable import MAGIC
from tests.attacks.frame import Attacks, harmless, noted, refused
from tests.service.parsers.protobufs import held, whole
from tests.service.parsers.sstables import block, literal, table, varint

ATTACKS = Attacks()
LEVELDB = "https://github.com/google/leveldb/blob/main/doc/table_format.md"
SNAPPY = "https://github.com/google/snappy/blob/main/format_description.txt"
HEADER = (b"", whole(1, 1) + held(3, whole(1, 1)))
INDEX, DATA = "variables.index", "variables.data-00000-of-00001"


def stored(*sizes: int, offset: int = 0, size: int = 16, shard: int = 0) -> bytes:
    """What an index says of a tensor of float32."""
    shape = b"".join(held(2, whole(1, one)) for one in sizes)
    return whole(1, 1) + held(2, shape) + whole(3, shard) + whole(4, offset) + whole(5, size) + b"\x35abcd"


def index(*pairs: tuple[bytes, bytes], snappy: bool = False) -> bytes:
    """An honest table around entries."""
    return table([[HEADER, *pairs]], snappy=snappy)


def attack(number: int, name: str, idea: str, make: Any, expects: Any, source: str = LEVELDB) -> None:
    """An index, beside a data file of 64 bytes."""
    ATTACKS.add(f"V3-{number:02}", name, idea, source, lambda _trap: {INDEX: make(), DATA: bytes(64)}, expects)


def packed(content: bytes, said: int | None = None, times: int = 1) -> bytes:
    """A table of an honest block and `content`, compressed as it is; `said` is the size that its handle has."""
    honest = block([HEADER])
    data = honest + b"\0CRC!" + content + b"\x01CRC!"
    handle = varint(len(honest) + 5) + varint(len(content) if said is None else said)
    names = block([(b"a", varint(0) + varint(len(honest))), *((b"z" + bytes([at]), handle) for at in range(times))])
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(names))
    return data + names + b"\x00CRC!" + footer.ljust(40, b"\x00") + MAGIC


def copies(length: int) -> bytes:
    """A Snappy block that says one byte and repeats it, 64 at a time, up to `length`."""
    return varint(length) + b"\x00A" + b"\xfe\x01\x00" * (length // 64)


attack(1, "an_honest_index", "Compressed, as TensorFlow may write it: not an attack.",
       lambda: index((b"w", stored(2, 2)), snappy=True), harmless())  # fmt: skip
attack(2, "an_offset_beyond_the_data", "A tensor lies a terabyte after the end.",
       lambda: index((b"w", stored(2, 2, offset=1 << 40))), noted("data_past_end"))  # fmt: skip
attack(3, "a_size_beyond_the_data", "A tensor is longer than its file.",
       lambda: index((b"w", stored(1 << 20, 1 << 10, size=1 << 32))), noted("data_past_end"))  # fmt: skip
attack(4, "a_size_of_another_shape", "Shape and bytes disagree: whoever copies by shape reads on.",
       lambda: index((b"w", stored(1000, 1000))), noted("data_wrong_size"))  # fmt: skip
attack(5, "tensors_that_overlap", "Two tensors share bytes.",
       lambda: index((b"v", stored(4)), (b"w", stored(4, offset=8))), noted("data_overlap"))  # fmt: skip
attack(6, "a_shape_that_overflows", "The product is zero modulo 2^64.",
       lambda: index((b"w", stored(2**32, 2**32, size=0))), noted("data_wrong_size"))  # fmt: skip
attack(7, "an_offset_below_zero", "A place before the file.",
       lambda: index((b"w", stored(2, 2, offset=-1))), refused("malformed_file"))  # fmt: skip
attack(8, "a_shard_of_thousands", "The data file that a tensor names does not exist.",
       lambda: index((b"w", stored(2, 2, shard=9000))), noted("shard_unknown"))  # fmt: skip
attack(9, "a_key_twice", "Two readers find two tensors.",
       lambda: table([[HEADER, (b"w", stored(2, 2)), (b"w", stored(4))]]),
       refused("inconsistent_archive"))  # fmt: skip
attack(10, "a_block_after_the_end", "The index leads out of the file.",
       lambda: packed(literal(block([(b"w", stored(2, 2))])), 1 << 50), refused("truncated_file"))  # fmt: skip
attack(11, "a_footer_that_leads_nowhere", "The first step is out of the file already.",
       lambda: index()[:-48] + (varint(0) * 2 + varint(1 << 60) + varint(9)).ljust(40, b"\0") + MAGIC,
       refused("truncated_file"))  # fmt: skip
attack(12, "keys_of_gigabytes", "Each key shares a long beginning with the one before it.",
       lambda: table([[HEADER, *sorted((b"k" * 60_000 + varint(at + 128), b"") for at in range(3000))]]),
       refused("limit_exceeded", "sstable_keys"))  # fmt: skip
attack(13, "a_block_that_unpacks_to_gigabytes", "It says so itself.",
       lambda: packed(varint(1 << 31) + b"\x00A"), refused("limit_exceeded", "snappy_bytes"), SNAPPY)  # fmt: skip
attack(14, "a_block_of_copies", "Twenty times its size in copies of one byte, and no table within.",
       lambda: packed(copies(16 << 20)), refused("malformed_file"), SNAPPY)  # fmt: skip
attack(15, "a_copy_from_before_the_beginning", "Memory that is not the block's.",
       lambda: packed(varint(64) + b"\x00A" + b"\xfe\xff\xff"), refused("malformed_file"), SNAPPY)  # fmt: skip
attack(16, "a_block_longer_than_it_says", "The buffer that was made for it is too small.",
       lambda: packed(varint(8) + b"\x00A" + b"\xfe\x01\x00" * 100), refused("malformed_file"), SNAPPY)  # fmt: skip
attack(17, "a_million_restarts", "More restart points than the block has room for.",
       lambda: packed(literal(b"\0" * 8 + b"\xff" * 4)), refused("malformed_file"))  # fmt: skip
attack(18, "an_entry_that_shares_what_is_not_there", "A key begins with more of the last one than that has.",
       lambda: packed(literal(b"\x7f\x01\x01ab" + b"\0\0\0\0\x01\0\0\0")), refused("malformed_file"))  # fmt: skip
attack(20, "blocks_that_overlap", "The index names one block a hundred times, so that few bytes become many entries.",
       lambda: packed(literal(block([(b"w", stored(2, 2))])), times=100),
       refused("inconsistent_archive"))  # fmt: skip
