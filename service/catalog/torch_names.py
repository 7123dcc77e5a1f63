"""What the name of a layer tells where the shapes of its tensors leave two classes; each conclusion says the other.

A name alone proves nothing: it decides only between classes that store exactly these tensors. Names are those of the
published GPT-2, BERT, T5, LLaMA and torchvision implementations. Knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from service.catalog.torch_rules import Guess, Sizes
from service.language import Message, msg

EMBEDDING_NOTE = msg("Told by its name: a Linear without bias stores a table of the same sizes.")
LINEAR_NOTE = msg("Told by its name: an Embedding stores a table of the same sizes.")
LAYER_NORM_NOTE = msg("Told by its name: a GroupNorm stores vectors of the same sizes.")
GROUP_NORM_NOTE = msg("Told by its name: a LayerNorm stores vectors of the same sizes.")
RMS_NORM_NOTE = msg("Told by its name: a LayerNorm without bias stores a vector of the same size.")
LONE_NORM_NOTE = msg("Told by its name: an RMSNorm stores a vector of the same size.")

_EMBEDDING = re.compile(r"(?!.*patch)(?:.*_)?(?:wte|wpe|emb|embed|embedding|embeddings)(?:_\w+)?")
_LINEAR = re.compile(
    r"lm_head|(?:.*_)?head|(?:.*_)?classifier|fc\w*|(?:.*_)?(?:fc|linear|dense|proj)\d*|c_attn|(?:to_)?qkv|to_[qkv]"
)
_OTHER_NORM = re.compile(r"batch|instance|(?:^|_)bn|weight_?norm|spectral")
_GROUP_NORM = re.compile(r"group_?norm|(?:^|_)gn(?:_|\d|$)")
_LAYER_NORM = re.compile(r"(?:^|_)ln(?:_|\d|$)")
_NORM = re.compile(r"norm")
_CONV1D = frozenset({"c_attn", "c_proj", "c_fc", "q_attn"})


def by_name(name: str, shapes: Mapping[str, Sizes | None], children: Collection[str]) -> Guess | None:
    """The kind of a layer called `name` that holds only these tensors; None where the name does not decide."""
    weight = shapes.get("weight")
    if weight is None or children or not shapes.keys() <= {"weight", "bias"}:
        return None
    lower = name.lower()
    if len(weight) == 1 and not _OTHER_NORM.search(lower):
        return _norm(lower, weight, shapes)
    if len(weight) == 2 and "bias" not in shapes:
        return _table(lower)
    return None


def _norm(name: str, weight: Sizes, shapes: Mapping[str, Sizes | None]) -> Guess | None:
    alone, layer = "bias" not in shapes, _LAYER_NORM.search(name)
    if not alone and shapes["bias"] != weight:
        return None
    found: tuple[str, Message] | None = None
    if alone and (layer or _NORM.search(name)):
        found = ("layer_norm", LONE_NORM_NOTE) if layer else ("rms_norm", RMS_NORM_NOTE)
    elif not alone and _GROUP_NORM.search(name):
        found = ("group_norm", GROUP_NORM_NOTE)
    elif not alone and (layer or _NORM.search(name)):
        found = ("layer_norm", LAYER_NORM_NOTE)
    return Guess(found[0], (found[1],), norm=True) if found else None


def _table(name: str) -> Guess | None:
    if _EMBEDDING.fullmatch(name):
        return Guess("embedding", (EMBEDDING_NOTE,))
    return Guess("linear", (LINEAR_NOTE,)) if _LINEAR.fullmatch(name) else None


def is_input_first_name(name: str) -> bool:
    """Whether GPT-2 calls its Conv1D layers so, whose kernels put the inputs first; nanoGPT's Linear layers too."""
    return name in _CONV1D
