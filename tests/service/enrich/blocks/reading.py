"""Reads the files of the block corpora as the service does, up to the totals; no expectations in here."""

from __future__ import annotations

from functools import cache

from service.config import Limits
from service.enrich import seeds, totals
from service.enrich.blocks.build import add_blocks
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import FileSource, Meter
from service.tree import Block, Model
from tests.corpus import corpus_dir


@cache
def blocks_of(corpus: str, name: str) -> Model:
    """The model in a file of the corpus, with totals and blocks."""
    meter = Meter(Limits())
    with (corpus_dir(corpus) / name).open("rb") as file:
        upload = Upload({name: FileSource(file.fileno(), meter)}, meter)
        read = identify(upload, load_readers()).read(upload)
    assert isinstance(read, Model)
    return add_blocks(totals.add_totals(seeds.set_apart(read)))


def lines(blocks: tuple[Block, ...]) -> list[str]:
    """One line for each block: `layer1.{1..2} × 2`."""
    return [block.name if block.repeats == 1 else f"{block.name} × {block.repeats}" for block in blocks]


def named(model: Model, *names: str) -> Block:
    """The block found by following names from the top."""
    blocks = model.blocks
    for name in names:
        found = next(block for block in blocks if block.name == name)
        blocks = found.blocks
    return found
