"""Damaged and hostile Keras files: an error of ours with its place, or an answer; never anything else."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.translation import encoder
from tests.corpus import corpus_dir
from tests.keras_reading import member, read_bytes, repacked
from tests.mutation import mutants

SMALL = ("trained.keras", "trained.h5", "trained.weights.h5", "recurrent.h5", "subclassed.keras", "custom.keras")
MUTANTS = 150
SECRET = b"TOPSECRET-3141592"


def answer(data: bytes) -> str:
    """`ok`, or the code of the InputError; anything else fails the test."""
    try:
        encoder("en").encode(read_bytes(data)[1])
    except InputError as error:
        return error.code
    return "ok"


def load(name: str) -> bytes:
    """One file of the corpus."""
    return (corpus_dir("keras_files") / name).read_bytes()


@pytest.mark.parametrize("name", SMALL)
def test_files_cut_anywhere_are_refused(name: str) -> None:
    """A file cut at 60 places is never read as if it were whole."""
    data = load(name)
    for step in range(60):
        assert answer(data[: len(data) * step // 60]) != "ok", step


@pytest.mark.parametrize("name", SMALL)
def test_flipped_bytes_give_an_answer_or_an_error_of_ours(name: str) -> None:
    """Random bytes at random places, everywhere and in the headers: only InputErrors come out, and quickly."""
    data, draw = load(name), random.Random(name)  # noqa: S311 - a corpus, not a secret
    for number in range(MUTANTS):
        mutant = bytearray(data)
        reach = len(data) if number % 2 else min(len(data), 8192)
        for _ in range(draw.choice((1, 1, 2, 8))):
            mutant[draw.randrange(reach)] = draw.choice((draw.randrange(256), 0, 255))
        answer(bytes(mutant))


@pytest.mark.parametrize("name", ["trained.keras", "subclassed.keras", "custom.keras", "nested_shared_frozen.keras"])
def test_damage_inside_the_archive(name: str) -> None:
    """The same for configuration and weights inside an archive whose checksums are right."""
    archive, draw = load(name), random.Random(name)  # noqa: S311 - a corpus, not a secret
    for number in range(MUTANTS):
        which = ("config.json", "model.weights.h5")[number % 2]
        content = bytearray(member(archive, which))
        for _ in range(draw.choice((1, 2, 8))):
            content[draw.randrange(len(content))] = draw.choice((draw.randrange(256), 48, 34, 91, 123))
        answer(repacked(archive, **{("config", "weights")[number % 2]: bytes(content)}))


def test_a_cut_archive_says_so() -> None:
    """A `.keras` that was cut is called truncated, not unknown."""
    with pytest.raises(TruncatedFile):
        read_bytes(load("trained.keras")[:-100])


def test_a_cut_weights_member_is_named() -> None:
    """Weights cut inside a whole archive: the error names the member."""
    archive = load("trained.keras")
    with pytest.raises(TruncatedFile) as caught:
        read_bytes(repacked(archive, weights=member(archive, "model.weights.h5")[:-50]))
    assert (caught.value.info.member or "").startswith("model.weights.h5")


def test_links_and_foreign_storage_are_seen_and_not_followed(tmp_path: Path) -> None:
    """External links, external storage and virtual datasets are dangers; nothing of the other file is in the answer."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(SECRET * 10)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((3, 2), "float32")
        file["layers/dense/vars/link"] = h5py.ExternalLink(str(secret), "/x")
        file["layers/dense/vars/soft"] = h5py.SoftLink("/layers/dense")
        file.create_dataset("layers/dense/vars/1", (10,), "u1", external=[(str(secret), 0, 10)])
        layout = h5py.VirtualLayout(shape=(4,), dtype="i4")
        layout[:] = h5py.VirtualSource(str(secret), "q", shape=(4,))
        file.create_virtual_dataset("layers/dense/vars/2", layout)
    model = read_bytes(buffer.getvalue())[1]
    assert {danger.code for danger in model.security} == {
        "hdf5_external_link", "hdf5_soft_link", "hdf5_external_storage", "hdf5_virtual_dataset"}  # fmt: skip
    assert SECRET not in encoder("en").encode(model)


def test_huge_declarations_are_reported_and_cost_nothing() -> None:
    """A dataset of 10^16 elements in a small file: its shape is given, and that it is a bomb."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/dense/vars/0", (10**6, 10**10), "f4", chunks=(100, 100))
    model = read_bytes(buffer.getvalue())[1]
    assert model.layers[0].weights[0].count == 10**16
    assert [danger.code for danger in model.security] == ["hdf5_declared_size"]


def test_names_are_only_text() -> None:
    """Layer names with path steps, NUL or a megabyte are shortened text in the report."""
    archive = load("seed1.keras")
    config = member(archive, "config.json").replace(b'"name": "seed1"', b'"name": "../../../pwn' + b"A" * 10**6 + b'"')
    model = read_bytes(repacked(archive, config=config))[1]
    assert len(model.info.name or "") < 5000
    assert "keras_name_path" in {danger.code for danger in model.security}


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(hdf5_objects=5), "hdf5_objects"),
        (Limits(hdf5_depth=2), "hdf5_depth"),
        (Limits(hdf5_attribute_bytes=10), "hdf5_attribute_bytes"),
        (Limits(layers=2), "layers"),
        (Limits(weights=2), "weights"),
        (Limits(json_bytes=100), "member_bytes"),
    ],
)
def test_limits_are_named(limits: Limits, limit: str) -> None:
    """More than a limit allows is refused with the limit's name."""
    with pytest.raises(LimitExceeded) as caught:
        read_bytes(load("trained.keras"), limits)
    assert caught.value.info.extra["limit"] == limit


def test_a_graph_in_a_circle_ends() -> None:
    """Layers that feed each other, or themselves, are listed; their shapes stay open."""

    def layer(name: str, source: str) -> dict[str, object]:
        config = {"name": name, "units": 2}
        return {"class_name": "Dense", "name": name, "config": config, "inbound_nodes": [[[source, 0, 0, {}]]]}

    document = {"class_name": "Functional", "config": {
        "name": "loop", "layers": [layer("a", "b"), layer("b", "a"), layer("c", "c")],
        "input_layers": [], "output_layers": [["a", 0, 0]]}}  # fmt: skip
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as new:
        new.writestr("metadata.json", "{}")
        new.writestr("config.json", msgspec.json.encode(document))
    model = read_bytes(packed.getvalue())[1]
    assert [layer.output_shapes for layer in model.layers] == [None, None, None]


def test_a_map_that_is_no_map_is_refused() -> None:
    """HDF5 attributes that should be text and are not are an error with a sentence."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = 5
    with pytest.raises(MalformedFile, match="layer_names"):
        read_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    "name", ["nested_shared_frozen.keras", "recurrent.keras", "several_outputs.keras", "keras_2.h5"]
)
def test_configurations_with_wrong_values(name: str) -> None:
    """Valid JSON with values replaced, removed and repeated: an answer or an InputError."""
    old = name.startswith("keras_2")
    data = (corpus_dir("keras_old_files" if old else "keras_files") / name).read_bytes()
    config = _legacy_config(data) if old else member(data, "config.json")
    for mutant in mutants([json.loads(config)], MUTANTS):
        content = json.dumps(mutant).encode()
        answer(_with_legacy_config(content) if old else repacked(data, config=content))


@pytest.mark.parametrize("class_name", ["Sequential", "Bidirectional", "TimeDistributed", "Functional"])
def test_nesting_as_deep_as_json_may_be(class_name: str) -> None:
    """Models and wrappers nested up to the limit of the JSON parser are answered, not run out of stack."""
    for depth in (30, 60, 90, 300):
        spec: dict[str, Any] = {"class_name": "LSTM", "config": {"name": "l", "units": 2, "return_sequences": True}}
        for number in range(depth):
            inner = {"layers": [spec]} if class_name in ("Sequential", "Functional") else {"layer": spec}
            graph = {"output_layers": [["l", 0, 0]]} if class_name == "Functional" else {}
            spec = {"class_name": class_name, "config": {"name": f"n{number}", **inner, **graph}, "inbound_nodes": []}
        top = {
            "class_name": "Sequential",
            "config": {"name": "top", "layers": [spec], "build_input_shape": [None, 3, 4]},
        }
        assert answer(_with_legacy_config(json.dumps(top).encode())) in ("ok", "limit_exceeded")


def _legacy_config(data: bytes) -> bytes:
    with h5py.File(io.BytesIO(data)) as file:
        return str(file.attrs["model_config"]).encode()


def _with_legacy_config(config: bytes) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = config
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"conv"]
        group.create_group("conv").attrs["weight_names"] = [b"conv/kernel:0"]
        group["conv/conv/kernel:0"] = np.zeros((3, 3, 3, 4), "float32")
    return buffer.getvalue()
