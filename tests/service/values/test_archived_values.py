"""The numbers of weights in archives of every kind, and of several models in one upload."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import safetensors.numpy
import zstandard

from service.values.opening import open_values
from tests.corpus import corpus_dir
from tests.service.values.formats import Files, drawn, files, holds, measured, seen, statistics, upload


def zipped(given: Files) -> bytes:
    """A zip with these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in given.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(given: Files) -> bytes:
    """A tar with these members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in given.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def mixed() -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """Models of five formats in folders, one of which holds a single file, and all their arrays."""
    keras, field = corpus_dir("keras_formats"), corpus_dir("field_formats")
    out = io.BytesIO()
    arrays = {"a": drawn(4, 5), "b": drawn(5)}
    np.savez_compressed(out, **arrays)
    lone = {"w": drawn(3, 8)}
    parts = {
        "keras/network.keras": (keras / "network.keras").read_bytes(),
        "numpy/m.npz": out.getvalue(),
        "lone/m.safetensors": safetensors.numpy.save(lone),
        **{f"saved/{name}": data for name, data in files(keras / "plain_saved").items()},
        **{f"ir/{name}": data for name, data in files(field / "network.xml", field / "network.bin").items()},
    }
    arrays |= lone
    for stored in (keras / "network.npz", keras / "plain.npz", field / "weights.npz"):
        with np.load(stored) as held:
            arrays |= {f"{stored}{key}": array for key, array in held.items() if not key.startswith("lstm.")}
    return parts, arrays


PACKED: dict[str, Callable[[Files], Files]] = {
    "files": lambda given: given,
    "zip": lambda given: {"m.zip": zipped(given)},
    "tar": lambda given: {"m.tar": tarred(given)},
    "tar.gz": lambda given: {"m.tar.gz": gzip.compress(tarred(given))},
    "tar.zst": lambda given: {"m.tar.zst": zstandard.compress(tarred(given))},
    "zip beside a file": lambda given: {"m.zip": zipped(given), "notes.txt": b"nothing"},
    "zip in a tar": lambda given: {"m.tar": tarred({"inner/m.zip": zipped(given)})},
}


@pytest.mark.parametrize("way", PACKED)
def test_several_models_in_every_kind_of_archive(way: str) -> None:
    """Statistics of all, and afterwards each weight's numbers by the joined report: HDF5 and raw storages at once."""
    parts, arrays = mixed()
    given = PACKED[way](parts)
    model = measured(given)
    assert model.info.format == "several"
    holds(model, arrays)
    values = open_values(upload(given), model)
    for layer in model.layers:
        for weight in layer.weights:
            assert weight.statistics is not None
            assert weight.statistics.status == "complete", (layer.path, weight.name, str(weight.statistics.reason))
            array = values.of(layer, weight).array()
            assert (float(array.min()), float(array.max())) == (weight.statistics.min, weight.statistics.max)


def test_shards_beside_another_model_of_the_same_names() -> None:
    """Each dataset is read in the shard that has it, though another file has one of the same path."""
    folder = corpus_dir("keras_files")
    shards = {f"a/{path.name}": path.read_bytes() for path in sorted(folder.glob("sharded*"))}
    alone = statistics({name.removeprefix("a/"): data for name, data in shards.items()})
    other = (corpus_dir("keras_formats") / "network.keras").read_bytes()
    with zipfile.ZipFile(io.BytesIO(other)) as archive:
        shards["0.weights.h5"] = archive.read("model.weights.h5")
    model = measured({"m.zip": zipped(shards)})
    found = [weight.statistics for layer in model.layers if layer.path.startswith("a/") for weight in layer.weights]
    assert [seen(one) for one in found if one] == [seen(one) for one in alone.values()]
