"""Low-rank adapters: the rank that `adapter_config.json` declares against the pairs' shapes; knows PEFT's names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.catalog.hf_documents import Document
from service.catalog.integrity import declared_differs, listed
from service.catalog.named import Stored
from service.language import msg
from service.plain import text, whole
from service.tree import Finding

_AXES = {"lora_A": 0, "lora_embedding_A": 0, "lora_B": 1, "lora_embedding_B": 1}
"""Which axis of an array of a pair is the rank."""


def check(adapter: Document, arrays: Sequence[Stored]) -> list[Finding]:
    """Findings of rule declared_mismatch on pairs of another rank than the configuration gives them."""
    ranks = _ranks(adapter)
    if not ranks or adapter.get("target_parameters"):  # those hold all experts' ranks in one array
        return []
    wrong = [
        declared_differs(msg("The rank of {name}", name=text(one.name, 200)), ranks[0], rank)
        for one, rank in _pairs(arrays)
        if rank not in ranks
    ]
    return listed("declared_mismatch", wrong)


def _ranks(adapter: Document) -> list[int]:
    """The rank for all layers first, then those that a pattern gives to some; empty if not told or not LoRA."""
    rank = whole(adapter.get("r"))
    if adapter.get("peft_type") != "LORA" or rank is None:
        return []
    pattern = adapter.get("rank_pattern")
    others = pattern.values() if isinstance(pattern, dict) else ()
    return [rank, *(value for value in map(whole, others) if value is not None)]


def _pairs(arrays: Sequence[Stored]) -> Iterator[tuple[Stored, int]]:
    for one in arrays:
        steps = one.name.split(".")[-3:]
        axis = next((_AXES[step] for step in steps if step in _AXES), None)
        if axis is not None and one.shape is not None and len(one.shape) >= 2:
            yield one, one.shape[axis]
