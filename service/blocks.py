"""The type of a block: layers that a person thinks of as one, and blocks that repeat. Knows no layer's insides."""

from __future__ import annotations

from service.basis import Frozen
from service.language import Message


class Block(Frozen, frozen=True, kw_only=True):
    """Some layers taken as one.

    Attributes:
        name: What the block is called: `encoder.layer`, `dense_2`; unique among its siblings.
        kind: `group` (linear or convolution with what belongs to it), `branches` (paths that split and join again, as
            in a residual block), `repeat` (equal blocks folded into one), `stage` (a container of blocks), `layer` (a
            layer that stands alone).
        title: What it is, for a person.
        layers: Paths of its layers; of a repeat, those of its first occurrence. Containers without weights of their
            own are not among them.
        repeats: How often it occurs one after the other.
        occurrences: Names of the occurrences of a repeat, in order; of very many, the first hundred.
        parameters: Elements of the parameters of all occurrences, statistics included where the framework counts
            them; None if unknown.
        blocks: What it consists of; of a repeat, what its first occurrence consists of. () for a group, and where it
            lies too deep to be spelled out.
    """

    name: str
    kind: str
    title: Message
    layers: tuple[str, ...]
    repeats: int = 1
    occurrences: tuple[str, ...] = ()
    parameters: int | None = None
    blocks: tuple[Block, ...] = ()
