"""The words in which names of layers tell what a layer does, and what each says of the arrays that fit it; data only.

The other `families_*` files list under these words the names that published implementations give their layers.
"""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """`kind` of the layer by the rank of its kernel (`*` for a convolution of that rank), and its part in attention."""

    kinds: dict[int, str]
    part: str = ""


_FILTERS = {3: "conv1d", 4: "conv2d", 5: "conv3d"}
_PROJECTION = {2: "linear", **_FILTERS}

WORDS: dict[str, Word] = {
    "query": Word(_PROJECTION, "query"),
    "key": Word(_PROJECTION, "key"),
    "value": Word(_PROJECTION, "value"),
    "output": Word(_PROJECTION, "output"),
    "qkv": Word(_PROJECTION, "qkv"),
    "linear": Word({2: "linear"}),
    "experts": Word({3: "linear"}),
    "embedding": Word({2: "embedding"}),
    "convolution": Word(_FILTERS),
    "layer_norm": Word({1: "layer_norm"}),
    "rms_norm": Word({1: "rms_norm"}),
    "group_norm": Word({1: "group_norm"}),
}
"""`experts`: the kernels of all experts in one array of three axes."""
