"""Uploads of TensorFlow's files for tests: folders of the corpus, parts of them, and what readers say."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import InputError
from service.formats import Reader, Upload
from service.readers import tf_checkpoint, tf_graphdef, tf_savedmodel, tfjs
from service.source import BytesSource, FileSource, Meter
from service.tree import Layer, Model, Weight

READERS: tuple[Reader, ...] = (tf_savedmodel, tf_checkpoint, tf_graphdef, tfjs)  # type: ignore[assignment]


def files_below(folder: Path) -> dict[str, Path]:
    """All files below a folder by their relative names."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


def of_paths(paths: Mapping[str, Path]) -> Upload:
    """An upload of files on this disk."""
    meter = Meter(Limits())
    return Upload({name: FileSource(os.open(path, os.O_RDONLY), meter) for name, path in paths.items()}, meter)


def of_bytes(contents: Mapping[str, bytes]) -> Upload:
    """An upload of contents by name."""
    meter = Meter(Limits())
    return Upload({name: BytesSource(data, meter) for name, data in contents.items()}, meter)


def contents(paths: Mapping[str, Path]) -> dict[str, bytes]:
    """The files' contents by name."""
    return {name: path.read_bytes() for name, path in paths.items()}


def read(upload: Upload) -> Model:
    """The model by the only reader that accepts, enriched."""
    accepting = [reader for reader in READERS if reader.accept(upload)]
    assert len(accepting) == 1, [reader.FORMAT.id for reader in accepting]
    model = accepting[0].read(upload)
    assert isinstance(model, Model)
    return enrich(model)


def stored(model: Model) -> dict[str, Weight]:
    """Every weight of layers and states by its key; tied ones once."""
    held = [weight for layer in model.layers for weight in layer.weights]
    held += [weight for state in model.states for weight in state.weights]
    return {weight.stored_as or "": weight for weight in held if weight.tied_to is None}


def by_path(model: Model) -> dict[str, Layer]:
    """Layers by path."""
    return {layer.path: layer for layer in model.layers}


def rules(model: Model) -> set[str]:
    """The rules of integrity and of explanation that found something."""
    about = ("data_", "shard_", "slices_", "variable_", "formula_", "config_", "declared_")
    return {finding.rule for finding in model.findings if finding.rule.startswith(about)}


def mutants(data: bytes, count: int) -> Iterator[bytes]:
    """`data` with bytes changed, and cut: the same ones each time."""
    draw = random.Random(7)  # noqa: S311 - a corpus, not a secret
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 1, 3))):
            changed[draw.randrange(len(changed))] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
        yield bytes(changed)
        yield data[: draw.randrange(len(data))]


def survives(upload: Callable[[], Upload]) -> None:
    """Whatever the content, a reader that accepts it answers or raises an InputError."""
    given = upload()
    for reader in READERS:
        if reader.accept(given):
            try:
                reader.read(given)
            except InputError:
                continue
