"""GGUF files of public packages are read as the gguf package reads them: pieces of files, with whole headers."""

from __future__ import annotations

import math
from pathlib import Path

import gguf as reference
import numpy as np
import pytest

from service.catalog.gguf_types import type_name
from service.config import Limits
from service.formats import Upload
from service.language import english
from service.readers import gguf
from service.source import FileSource, Meter
from service.tree import Model, Weight
from service.values.blocks import blocks
from tests.packages.fetch import Shipped, fetch, manifest

EACH = pytest.mark.parametrize("file", manifest("gguf"), ids=lambda file: file.id)


def read(file: Shipped) -> tuple[Model, Meter]:
    """What we say of it, and what that took."""
    with fetch(file).open("rb") as opened:
        meter = Meter(Limits())
        upload = Upload({"upload": FileSource(opened.fileno(), meter)}, meter)
        assert gguf.accept(upload)
        found = gguf.read(upload)
    assert isinstance(found, Model)
    return found, meter


def weights(found: Model) -> dict[str, Weight]:
    """Every weight by its name in the file."""
    return {weight.stored_as or "": weight for layer in found.layers for weight in layer.weights}


def library(file: Shipped, folder: Path) -> reference.GGUFReader:
    """The package's reading of the file, at its full length with holes for the data that is missing."""
    whole = folder / "whole.gguf"
    with fetch(file).open("rb") as opened, whole.open("wb") as copy:
        copy.write(opened.read(16 << 20))
        copy.truncate(8 << 30)
    return reference.GGUFReader(whole)


@EACH
def test_every_tensor_is_there(file: Shipped, tmp_path: Path) -> None:
    """Names, shapes, types, bytes and places are the package's; every key of the metadata."""
    found, _ = read(file)
    theirs = library(file, tmp_path)
    ours = weights(found)
    assert {name: (weight.shape, weight.dtype, weight.bytes) for name, weight in ours.items()} == {
        tensor.name: (tuple(map(int, tensor.shape[::-1])), type_name(int(tensor.tensor_type)), int(tensor.n_bytes))
        for tensor in theirs.tensors
    }
    places = {name: weight.location.offset for name, weight in ours.items() if weight.location is not None}
    assert places == {tensor.name: int(tensor.data_offset) for tensor in theirs.tensors}
    keys = {key for key in theirs.fields if not key.startswith("GGUF.")}
    prefix = f"{found.info.type}."
    assert set(found.info.tags) - {"quantization"} == {key for key in keys if not key.startswith(prefix)}
    assert {f"{prefix}{key}" for key in found.layers[0].config} == {key for key in keys if key.startswith(prefix)}
    words = found.info.tags["tokenizer.ggml.tokens"]
    assert words == {"type": "string", "count": len(theirs.fields["tokenizer.ggml.tokens"].data)}


@EACH
def test_numbers_of_the_blocks_that_are_there(file: Shipped) -> None:
    """Of the first tensor of blocks, which goes on beyond the piece, 300 rows: the package's, to the last bit."""
    found, _ = read(file)
    held = (weight for weight in weights(found).values() if weight.dtype in ("q8_0", "q6_k") and weight.location)
    weight = min(held, key=lambda one: (one.location and one.location.offset) or 0)
    kind = reference.GGMLQuantizationType[(weight.dtype or "").upper()]
    elements, size = reference.GGML_QUANT_SIZES[kind]
    width = (weight.shape or ())[-1] or 0
    with fetch(file).open("rb") as opened:
        source = FileSource(opened.fileno(), Meter(Limits()))
        offset = (weight.location and weight.location.offset) or 0
        data = np.frombuffer(source.read_at(offset, 300 * width // elements * size), np.uint8).reshape(300, -1)
        ours = blocks(source, offset, weight.dtype or "", (300, width)).box((0, 0), (300, width))
    assert np.array_equal(ours, reference.quants.dequantize(data, kind))
    assert 0 < np.abs(ours).max() < 10


@EACH
def test_the_totals_are_the_known_ones(file: Shipped) -> None:
    """As many tensors and elements as were counted when the file was added; the pieces end within the data."""
    found, meter = read(file)
    shapes = [weight.shape or () for weight in weights(found).values()]
    elements = sum(math.prod(size or 0 for size in shape) for shape in shapes)
    assert (len(shapes), elements) == (file.weights, file.elements)
    assert (found.info.format, found.info.framework) == (file.format, file.framework)
    assert [finding.rule for finding in found.findings] == ["data_truncated"]
    assert not found.complete
    assert "is missing or cut" in english(found.notes[0])
    assert found.security == ()
    assert meter.read < 6_000_000


@EACH
def test_the_families_are_told(file: Shipped) -> None:
    """Attention and embeddings by their names, in both architectures."""
    roles = {name: weight.role for name, weight in weights(read(file)[0]).items()}
    expected = {
        "token_embd.weight": "embedding", "blk.0.attn_q.weight": "query_kernel", "blk.0.attn_norm.weight": "scale",
    }  # fmt: skip
    assert {name: roles[name] for name in expected} == expected
