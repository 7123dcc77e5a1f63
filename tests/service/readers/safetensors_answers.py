"""What the library says of the safetensors folders of the corpus, and what is read of them, in one form."""

from __future__ import annotations

from typing import Any

from service.tree import Model
from tests.corpus import expected
from tests.service.readers.hf_uploads import weights

EXPECTED: dict[str, dict[str, Any]] = expected("torch_safetensors")
SHARDS = "llama_shards"


def facts(found: Model) -> dict[str, tuple[list[int] | None, str | None]]:
    """Shape and element type of each weight that was read and is no other's."""
    return {
        name: (None if weight.shape is None else list(weight.shape), weight.dtype)
        for name, weight in weights(found).items()
        if weight.tied_to is None
    }


def theirs(name: str) -> dict[str, tuple[list[int], str]]:
    """Shape and element type of each array of a folder, as the library has them."""
    return {key: (one["shape"], one["dtype"]) for key, one in EXPECTED[name]["weights"].items()}
