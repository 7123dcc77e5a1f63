"""NumPy archives: layers from the members' names, places in the members, headers only."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile

import numpy as np
import pytest

from service.errors import InputError, MalformedFile, TruncatedFile
from service.readers import npz
from service.registry import identify, load_readers
from service.values.opening import open_values
from tests.service.readers.numpy_files import archived, findings, notes, read, saved, upload, values, weights

ARRAYS = {
    "enc.0.weight": np.arange(12, dtype="f4").reshape(3, 4), "enc.0.bias": np.zeros(3, "f4"),
    "enc.1.weight": np.asfortranarray(np.arange(9, dtype="f8").reshape(3, 3)), "step": np.array(7),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_every_array_is_read_as_numpy_reads_it(*, packed: bool) -> None:
    """Name, shape, type and bytes; the place is in the member, whether it is compressed or not."""
    data = archived(packed=packed, **ARRAYS)
    found = read(data)
    ours = weights(found)
    with np.load(io.BytesIO(data)) as theirs:
        assert {name: (weight.shape, weight.dtype, weight.bytes) for name, weight in ours.items()} == {
            name: (theirs[name].shape, str(theirs[name].dtype), theirs[name].nbytes) for name in theirs.files
        }
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name, weight in ours.items():
            assert weight.location is not None
            assert weight.location.member == f"{name}.npy"
            assert np.array_equal(values(archive.read(f"{name}.npy"), weight), ARRAYS[name])
    assert (found.complete, findings(found), list(found.security)) == (True, [], [])
    assert {layer.path: layer.kind for layer in found.layers}["enc.0"] == "linear"
    assert identify(upload(data), load_readers()).FORMAT.id == "npz"


def test_the_values_are_read_where_they_lie() -> None:
    """By the room that reads values, from compressed members and in both orders of axes."""
    given = upload(archived(packed=True, **ARRAYS))
    found = npz.read(given)
    opened = open_values(given, found)
    for layer in found.layers:
        for weight in layer.weights:
            assert np.array_equal(opened.of(layer, weight).array(), ARRAYS[weight.stored_as or ""])


def test_slashes_are_steps_too() -> None:
    """Names as Keras and JAX write them; the full name stays as it is."""
    found = read(archived(**{"dense/kernel": np.ones((2, 3)), "dense/bias": np.ones(3)}))
    assert set(weights(found)) == {"dense/kernel", "dense/bias"}
    assert [layer.path for layer in found.layers if layer.weights] == ["dense"]


def test_names_that_become_the_same_are_kept_apart() -> None:
    """Both are counted."""
    found = read(archived(**{"a/b": np.ones(2), "a.b": np.ones(3)}))
    assert {name: weight.shape for name, weight in weights(found).items()} == {"a/b": (2,), "a.b": (3,)}


@pytest.mark.parametrize("packed", [False, True])
def test_only_headers_are_read(*, packed: bool) -> None:
    """Of 16 MB of noise, some kilobytes; a header of 2,000 fields is read whole."""
    noise = np.random.default_rng(0).integers(0, 255, 1 << 23, np.uint8)
    wide = np.zeros(1, [(f"field_{number}", "f4") for number in range(2000)])
    given = upload(archived(packed=packed, a=noise, b=noise, wide=wide))
    assert npz.accept(given)
    found = npz.read(given)
    assert len(weights(found)) == 2002
    assert given.meter.inflated < 200_000


def test_objects_in_members_are_looked_through() -> None:
    """What old Keras and others saved as dictionaries."""
    found = read(archived(net=np.array({"w": np.ones((2, 2))}, dtype=object), plain=np.ones(2)))
    assert set(weights(found)) == {"net.w", "plain"}


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_a_member_that_is_cut_is_named() -> None:
    """Within its header: an error with the member; within its values: not complete."""
    whole = saved(np.ones(50))
    with pytest.raises(TruncatedFile) as error:
        read(zipped({"a.npy": whole, "b.npy": whole[:60]}))
    assert error.value.info.member == "b.npy"
    with pytest.raises(MalformedFile) as other:
        read(zipped({"a.npy": whole, "b.npy": b"text"}))
    assert other.value.info.member == "b.npy"
    cut = read(zipped({"a.npy": whole, "b.npy": whole[:-8]}))
    assert not cut.complete
    assert "Of b only 392 of 400 bytes are there." in notes(cut)
    assert findings(cut) == [("data_wrong_size", "b has 392 bytes; its shape and element type need 400.")]


def test_an_archive_without_its_end_is_truncated() -> None:
    """And still told to be one of arrays."""
    data = archived(**ARRAYS)[:-30]
    assert npz.accept(upload(data))
    with pytest.raises(TruncatedFile):
        npz.read(upload(data))


def test_paths_that_lead_out_are_dangers() -> None:
    """A name that a careless program would unpack elsewhere."""
    found = read(zipped({"a.npy": saved(np.ones(2)), "../b.npy": saved(np.ones(2))}))
    assert [danger.code for danger in found.security] == ["archive_path_escape"]


def test_other_archives_are_not_taken() -> None:
    """A zip with anything else in it, an empty one, a member that only is called so."""
    for members in ({}, {"a.npy": saved(np.ones(2)), "README.md": b"x"}, {"a.npy": b"text"}):
        assert not npz.accept(upload(zipped(members)))


def test_damage_gives_input_errors_only() -> None:
    """Cut and flipped at random places: a model or an InputError, never anything else."""
    chance = random.Random(4)  # noqa: S311 - repeatable damage, no secret
    whole = [archived(**ARRAYS), archived(packed=True, **ARRAYS, o=np.array({"a": np.ones(3)}, dtype=object))]
    for number in range(1200):
        data = bytearray(chance.choice(whole))
        if number % 6 == 0:
            data = data[: chance.randrange(30, len(data))]
        for _ in range(chance.choice([1, 1, 2, 8])):
            data[chance.randrange(4, len(data))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(InputError):
            given = upload(bytes(data))
            if npz.accept(given):
                npz.read(given)
