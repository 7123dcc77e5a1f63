"""SavedModels of Keras 2, Keras 3, plain modules and TF 1, beside what TensorFlow and Keras say of the same files."""

from __future__ import annotations

import pytest

from service.errors import InputError, MalformedFile
from service.readers import tf_checkpoint, tf_savedmodel
from tests.corpus import corpus_dir, expected
from tests.service.parsers.protobuf_maps import SAVED_MODEL, turned
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

CORPUS = "keras_savedmodels"
MODELS = (
    "keras2_functional", "keras2_legacy_adam", "keras2_subclassed", "keras2_attention", "keras3_export",
    "keras3_saved", "plain_module", "tf1_builder",
)  # fmt: skip
EXPLAINED = frozenset(
    {
        "Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D", "BatchNormalization", "LSTM", "GRU", "Bidirectional",
        "Embedding", "MultiHeadAttention",
    }
)  # fmt: skip


def folder(name: str) -> dict:
    """One model's files by relative name."""
    return files_below(corpus_dir(CORPUS) / name)


@pytest.mark.parametrize("name", MODELS)
def test_every_variable_is_told_as_tensorflow_lists_it(name):
    """Key, shape and type of every tensor that `tf.train.load_checkpoint` finds, once each, with its bytes' place."""
    model = read(of_paths(folder(name)))
    listed = expected(CORPUS)[name]["variables"]
    listed.pop("_CHECKPOINTABLE_OBJECT_GRAPH", None)
    found = stored(model)
    assert {key: (list(weight.shape), weight.dtype) for key, weight in found.items()} == {
        key: (one["shape"], one["dtype"]) for key, one in listed.items()
    }
    assert model.complete
    assert not rules(model)
    assert all(weight.location is not None for key, weight in found.items() if key != "big")


@pytest.mark.parametrize("name", ["keras2_functional", "keras2_legacy_adam", "keras2_subclassed", "keras2_attention"])
def test_keras_2_layers_are_those_of_keras(name):
    """Names, classes, counts, switches and each weight's shape, in Keras' order; counts fully explained."""
    model = read(of_paths(folder(name)))
    layers = [layer for layer in model.layers if layer.kind != "container" and layer.path != "."]
    ours = [
        (one.name, one.type, [list(weight.shape) for weight in one.weights], one.trainable is not False)
        for one in layers
    ]
    keras = [
        (one["name"], one["type"], [weight["shape"] for weight in one["weights"]], one["trainable"])
        for one in expected(CORPUS)[name]["layers"]
    ]
    assert sorted(ours) == sorted(keras)
    assert model.info.framework == "keras"
    explained = [one for one in layers if one.type in EXPLAINED and one.weights]
    assert explained
    assert all(one.explanation is not None and one.explanation.status == "complete" for one in explained)


def test_a_frozen_layer_is_told_by_its_configuration():
    """`hidden` was frozen after it was made: its configuration says so, whatever its variables say."""
    layers = by_path(read(of_paths(folder("keras2_functional"))))
    assert [weight.group for weight in layers["hidden"].weights] == ["frozen", "frozen"]
    assert [weight.group for weight in layers["bn"].weights] == ["trainable", "trainable", "statistic", "statistic"]
    assert layers["inner/a"].parent == "inner"
    assert layers["hidden"].inputs == ("join",)


@pytest.mark.parametrize("name", ["keras3_export", "keras3_saved"])
def test_keras_3_layers_are_concluded_from_names(name):
    """Classes by rule, each layer's weights together, as stored: a layer frozen later still learns; a note says so."""
    model = read(of_paths(folder(name)))
    keras = {one["name"]: one for one in expected(CORPUS)[name]["layers"] if one["count"]}
    ours = {layer.name: layer for layer in model.layers if layer.weights}
    assert set(ours) == set(keras)
    for path, one in keras.items():
        shapes = [tuple(weight["shape"]) for weight in one["weights"] if "seed" not in weight["name"]]
        assert sorted(weight.shape for weight in ours[path].weights) == sorted(shapes)
        if path != "norm":  # gamma and beta alone may be those of any normalization
            assert ours[path].type == one["type"]
            assert ours[path].type_source == "rule"
            assert ours[path].explanation.status == "complete"
    assert all(weight.trainable for weight in ours["hidden"].weights)
    assert any("frozen later" in str(note) for note in model.notes)
    assert model.info.framework == "keras"


def test_copies_of_an_export_are_counted_once():
    """Keras 3 writes each variable twice; parameters are those of the model, the copies lie beside it."""
    model = read(of_paths(folder("keras3_export")))
    assert model.totals.parameters == 999
    copies = next(state for state in model.states if state.name == "_all_variables")
    assert sum(weight.count for weight in copies.weights) == 999 + 8


def test_optimizers_are_set_apart():
    """Slots of today's and of the legacy optimizer, with roles; the optimizer's class from the compile settings."""
    for name, slots in (("keras2_functional", 52), ("keras2_legacy_adam", 8)):
        state = next(one for one in read(of_paths(folder(name))).states if one.group == "optimizer")
        roles = [weight.role for weight in state.weights]
        assert roles.count("momentum") == roles.count("velocity") == slots // 2
        assert {"iteration", "learning_rate"} <= set(roles)
        assert state.type == "Adam"


@pytest.mark.parametrize("name", MODELS)
def test_maps_have_no_order(name):
    """Attributes of nodes, signatures, their inputs and outputs come in one order, however the model was written."""
    files = contents(folder(name))
    other = {**files, "saved_model.pb": turned(files["saved_model.pb"], SAVED_MODEL)}
    assert other != files
    first, second = (read(of_bytes(one)) for one in (files, other))
    assert repr((first.info, first.layers, first.notes)) == repr((second.info, second.layers, second.notes))


def test_signatures_assets_and_dangers_of_a_module():
    """Assets by name; an operation inside a function that reads files is named with the function it stands in."""
    model = read(of_paths(folder("plain_module")))
    assert model.info.tags["assets"] == ["plain_module.txt"]
    assert model.info.framework == "tensorflow"
    (danger,) = model.security
    assert danger.code == "tf_file_operation"
    assert danger.detail.startswith("ReadFile")
    assert "peek" in danger.path
    held = {weight.name: weight for weight in by_path(model)["."].weights}
    assert (held["seen"].group, held["half"].dtype, held["two"].group) == ("frozen", "bfloat16", "statistic")


def test_partitioned_variables_are_put_together():
    """Three slices on disk are one variable; the note lists them."""
    model = read(of_paths(folder("tf1_builder")))
    big = stored(model)["big"]
    assert (big.shape, big.count, big.bytes, big.location) == ((8, 6), 48, 192, None)
    assert "(3, 6), (3, 6) and (2, 6)" in str(by_path(model)["."].notes[0])


def test_saved_model_alone():
    """Without the checkpoint: the same layers and counts; not complete, and the note says what is missing."""
    paths = folder("plain_module")
    model = read(of_paths({"saved_model.pb": paths["saved_model.pb"]}))
    assert not model.complete
    assert "variables/ was not uploaded" in str(model.notes[-1])
    assert model.totals.parameters == 16
    whole = read(of_paths(paths))
    assert [one.path for one in model.layers] == [one.path for one in whole.layers]


def test_index_without_data():
    """The index alone tells shapes and types; the values are missing."""
    paths = {name: path for name, path in folder("keras3_saved").items() if ".data-" not in name}
    model = read(of_paths(paths))
    assert not model.complete
    assert "data files were not uploaded" in str(model.notes[-1])
    assert all(weight.location is None for weight in stored(model).values())


def test_names_may_be_flat_or_in_a_folder():
    """Browsers send base names, archives a common folder, Windows backslashes: the model is the same."""
    paths = folder("keras2_attention")
    whole = read(of_paths(paths))
    flat = {name.rpartition("/")[2]: path for name, path in paths.items()}
    deep = {f"./a\\b\\{name}".replace("/", "\\"): path for name, path in paths.items()}
    for names in (flat, deep):
        upload = of_paths(names)
        assert tf_savedmodel.find(upload) == [frozenset(names)]
        assert not tf_checkpoint.find(upload)
        assert read(upload).layers[1].weights[0].shape == whole.layers[1].weights[0].shape


def test_a_cut_data_file_is_named():
    """The tensors that lie after its end are findings, with member and place."""
    files = contents(folder("keras3_saved"))
    name = next(one for one in files if ".data-" in one)
    model = read(of_bytes({**files, name: files[name][:1000]}))
    past = [one for one in model.findings if one.rule == "data_past_end"]
    assert past
    assert name in str(past[0].what)


def test_another_checkpoint_is_noticed():
    """A checkpoint of another model: variables that it lacks, each named."""
    files, other = contents(folder("plain_module")), contents(folder("keras3_saved"))
    index, data = "variables/variables.index", "variables/variables.data-00000-of-00001"
    model = read(of_bytes({**files, index: other[index], data: other[data]}))
    assert "variable_missing" in rules(model)


@pytest.mark.parametrize("cut", [0.3, 0.9, 0.999])
def test_a_cut_saved_model_is_truncated(cut):
    """It is still known for what it is, and the error says that its end is missing."""
    data = folder("plain_module")["saved_model.pb"].read_bytes()
    upload = of_bytes({"saved_model.pb": data[: int(len(data) * cut)]})
    assert tf_savedmodel.accept(upload)
    with pytest.raises(MalformedFile):
        tf_savedmodel.read(upload)


def test_damaged_metadata_names_its_file():
    """An error within one of several files is placed in it."""
    files = contents(folder("keras2_attention"))
    with pytest.raises(InputError) as caught:
        tf_savedmodel.read(of_bytes({**files, "keras_metadata.pb": files["keras_metadata.pb"][:-5]}))
    assert caught.value.info.member == "keras_metadata.pb"


@pytest.mark.parametrize("name", ["plain_module", "tf1_builder", "keras2_subclassed"])
def test_no_mutation_gets_through_as_another_error(name):
    """Changed and cut bytes in each file of a small model: an answer or an InputError."""
    files = contents(folder(name))
    for part in ("saved_model.pb", "variables/variables.index", "keras_metadata.pb"):
        for mutant in mutants(files[part], 60) if part in files else ():
            survives(lambda part=part, mutant=mutant: of_bytes({**files, part: mutant}))
