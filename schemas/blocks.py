"""Blocks, as they are documented and checked; mirrors `service.blocks`."""

from __future__ import annotations

from marshmallow import Schema

from schemas.shorthand import integer, nested_list, sentence, string, strings


class BlockSchema(Schema):
    """Some layers taken as one."""

    name = string("What the block is called.")
    kind = string("group, branches, repeat, stage or layer.")
    title = sentence("What it is.")
    layers = strings("Paths of its layers; of a repeat, those of its first occurrence.")
    repeats = integer("How often it occurs one after the other.")
    occurrences = strings("Names of the occurrences of a repeat.")
    parameters = integer("What the framework counts in all occurrences.", null=True)
    blocks = nested_list(lambda: BlockSchema(), "What it consists of.")  # noqa: PLW0108 - its own name exists only later
