"""Checkpoints of TF 1 and TF 2 beside what `tf.train.load_checkpoint` lists; missing, cut and mixed-up files."""

from __future__ import annotations

import pytest

from service.errors import InputError, TruncatedFile
from service.readers import tf_checkpoint
from tests.corpus import corpus_dir, expected
from tests.service.parsers.sstables import table, varint
from tests.service.readers.tf_uploads import (
    by_path,
    contents,
    files_below,
    mutants,
    of_bytes,
    of_paths,
    read,
    rules,
    stored,
    survives,
)

CORPUS = "keras_checkpoints"
NAMES = ("v2", "sharded", "v1", "empty", "tf2", "tf2_legacy", "weights", "wide")
HEADER = (b"", b"\x08\x01\x1a\x02\x08\x01")


def folder(name: str) -> dict:
    """One checkpoint's files."""
    return files_below(corpus_dir(CORPUS) / name)


def entry(*, shape: tuple[int, ...] = (4,), offset: int = 0, size: int = 16, shard: int = 0) -> bytes:
    """A BundleEntryProto of floats."""
    dims = b"".join(b"\x12" + varint(len(varint(one)) + 1) + b"\x08" + varint(one) for one in shape)
    places = b"".join(bytes([key]) + varint(value) for key, value in ((0x18, shard), (0x20, offset), (0x28, size)))
    return b"\x08\x01\x12" + varint(len(dims)) + dims + places + b"\x35\x00\x00\x00\x00"


@pytest.mark.parametrize("name", NAMES)
def test_every_tensor_is_told_as_tensorflow_lists_it(name):
    """Key, shape and type of every tensor, once each, in layers and states together."""
    upload = of_paths(folder(name))
    assert tf_checkpoint.find(upload) == [frozenset(upload.parts)]
    model = read(upload)
    listed = expected(CORPUS)["checkpoints"][name]["variables"]
    listed.pop("_CHECKPOINTABLE_OBJECT_GRAPH", None)
    assert {key: (list(one.shape), one.dtype) for key, one in stored(model).items()} == {
        key: (one["shape"], one["dtype"]) for key, one in listed.items()
    }
    assert model.complete
    assert not rules(model)


@pytest.mark.parametrize("name", ["v2", "sharded", "v1", "empty"])
def test_tf1_layers_states_and_roles(name):
    """Layers by scope as they were made; slots, averages and counters apart; roles that only the graph tells."""
    model = read(of_paths(folder(name)))
    layers = by_path(model)
    assert list(layers) == ["conv", "bn", "deep", "big", "words", "out"]
    assert {path: layer.type for path, layer in layers.items()} == {
        "conv": "Conv2D", "bn": "BatchNormalization", "deep": "DepthwiseConv2D", "big": "Dense", "words": "Embedding",
        "out": None,
    }  # fmt: skip
    assert [(weight.name, weight.role) for weight in layers["out"].weights] == [("w1", "kernel"), ("b1", "bias")]
    assert [weight.group for weight in layers["bn"].weights] == ["trainable", "trainable", "statistic", "statistic"]
    groups = {state.group: state for state in model.states}
    assert set(groups) == {"optimizer", "ema", "other"}
    assert {weight.role for weight in groups["optimizer"].weights} == {"momentum", "velocity", "optimizer_slot"}
    assert "3 slices of shapes (96, 70), (96, 70) and (96, 70)" in str(layers["big"].notes[0])


def test_tf2_names_and_slots_come_from_the_graph_of_objects():
    """With the data file, whose string it is, layers have the program's names; without it, the keys' paths."""
    paths = folder("tf2")
    model = read(of_paths(paths))
    assert [layer.path for layer in model.layers] == ["first", "bn", "last", "."]
    assert [layer.type for layer in model.layers[:3]] == ["Dense", "BatchNormalization", "Dense"]
    alone = read(of_paths({name: path for name, path in paths.items() if name.endswith(".index")}))
    assert not alone.complete
    assert "model/layer_with_weights-0" in by_path(alone)
    assert alone.totals.parameters == model.totals.parameters
    assert {state.group: len(state.weights) for state in alone.states} == {
        state.group: len(state.weights) for state in model.states
    }


def test_the_index_alone_costs_little():
    """A header is read, not the values; locations are not guessed."""
    paths = folder("v2")
    upload = of_paths({"model.ckpt-7.index": paths["model.ckpt-7.index"]})
    model = read(upload)
    assert not model.complete
    assert "data files were not uploaded" in str(model.notes[-1])
    assert all(weight.location is None for weight in stored(model).values())


def test_a_missing_data_file_is_named_with_what_it_holds():
    """One of two data files: which one is missing, and how many tensors with how many bytes lie in it."""
    paths = {name: path for name, path in folder("sharded").items() if "00001-of" not in name}
    model = read(of_paths(paths))
    (finding,) = [one for one in model.findings if one.rule == "shard_missing"]
    assert str(finding.what).startswith("Data file 2 of 2 is missing: ")
    assert not model.complete


def test_damage_in_data_files():
    """Past the end, overlapping, of a wrong size, in a file that is not there: each is a finding of its own."""
    index = table(
        [[HEADER, (b"a/kernel", entry(size=16)), (b"b", entry(offset=8)), (b"c", entry(offset=40, size=20)),
          (b"d", entry(shard=3))]]
    )  # fmt: skip
    model = read(of_bytes({"x.index": index, "x.data-00000-of-00001": bytes(48)}))
    assert rules(model) == {"data_past_end", "data_overlap", "data_wrong_size", "shard_unknown"}


def test_a_cut_index_is_truncated():
    """A bundle's index without its footer is known for what it is."""
    data = folder("wide")["one.index"].read_bytes()
    upload = of_bytes({"one.index": data[:-20]})
    assert tf_checkpoint.accept(upload)
    with pytest.raises(TruncatedFile, match="footer is missing"):
        tf_checkpoint.read(upload)


def test_other_tables_are_not_claimed():
    """A LevelDB file has other keys."""
    assert not tf_checkpoint.accept(of_bytes({"x": table([[(b"key", b"value")]])}))
    assert not tf_checkpoint.accept(of_bytes({"x": b""}))


def test_numbers_of_shards_are_bounded():
    """A header that speaks of a billion data files, or of none, is refused."""
    for header in (b"\x08\xff\xff\xff\xff\x0f", b"\x08\x00"):
        with pytest.raises(InputError):
            tf_checkpoint.read(of_bytes({"x": table([[(b"", header), (b"a", entry())]])}))


@pytest.mark.parametrize("name", ["wide", "v1", "tf2"])
def test_no_mutation_gets_through_as_another_error(name):
    """Changed and cut bytes in each file: an answer or an InputError."""
    files = contents(folder(name))
    for part, data in files.items():
        for mutant in mutants(data, 40) if len(data) < 500_000 else ():
            survives(lambda part=part, mutant=mutant: of_bytes({**files, part: mutant}))


def test_names_of_a_thousand_scopes_cost_little():
    """Outer steps of a scope that is too deep stay in one layer."""
    keys = [(f"{number:03}" + "/a" * 1500 + "/kernel").encode() for number in range(200)]
    index = table([[HEADER, *((key, entry(shape=(2, 2))) for key in keys)]])
    model = read(of_bytes({"x.index": index}))
    assert len(model.layers) <= 200 * 33
    assert sum(len(layer.weights) for layer in model.layers) == 200
