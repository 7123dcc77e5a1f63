"""PaddlePaddle models that Paddle wrote are read as it describes them; damaged ones get their exact error."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Mapping
from types import ModuleType

import numpy as np
import pytest

from service.catalog.paddle_states import NAMES
from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import InputError, MalformedFile, MalformedJson, TruncatedFile, UnsupportedFeature
from service.formats import Upload
from service.readers import paddle_inference, paddle_json, paddle_params, paddle_tensors
from service.source import BytesSource, Meter
from service.tree import Model, Weight
from tests.corpus import corpus_dir, expected

CORPUS = "field_paddle"
READERS = (paddle_json, paddle_inference, paddle_params, paddle_tensors)


def upload(parts: Mapping[str, bytes]) -> Upload:
    """Parts in memory."""
    meter = Meter(Limits())
    return Upload({name: BytesSource(data, meter) for name, data in parts.items()}, meter)


def files(*names: str) -> dict[str, bytes]:
    """Files of the corpus."""
    return {name: (corpus_dir(CORPUS) / name).read_bytes() for name in names}


def separate() -> dict[str, bytes]:
    """The folder with a program and a file per parameter."""
    return {one.name: one.read_bytes() for one in sorted((corpus_dir(CORPUS) / "separate").iterdir())}


def read(reader: ModuleType, parts: Mapping[str, bytes]) -> Model:
    """What the only reader that takes them says of the parts."""
    given = upload(parts)
    assert [one for one in READERS if one.accept(given)] == [reader]
    found = reader.read(given)
    assert isinstance(found, Model)
    return found


def stored(model: Model) -> dict[str, Weight]:
    """Weights by the names of their variables, each once."""
    return {
        weight.stored_as or weight.name: weight
        for layer in model.layers
        for weight in layer.weights
        if weight.tied_to is None
    }


def held(model: Model) -> dict[str, tuple[list[int | None], str | None]]:
    """Shape and element type by variable."""
    return {name: (list(one.shape or ()), one.dtype) for name, one in stored(model).items()}


def wanted(name: str) -> dict[str, tuple[list[int], str]]:
    """The same as Paddle says it."""
    return {key: (one["shape"], one["dtype"]) for key, one in expected(CORPUS)[name]["parameters"].items()}


PIR = ("pir.json", "pir.pdiparams")
OLD = ("old.pdmodel", "old.pdiparams")


def test_a_program_of_paddle_3_has_all_parameters() -> None:
    """Every parameter and statistic with Paddle's name, shape and type; who learns is recorded."""
    model = read(paddle_json, files(*PIR))
    assert held(model) == wanted("pir")
    assert model.complete
    assert not model.findings
    frozen = [one.stored_as for one in stored(model).values() if one.trainable is False and one.group == "frozen"]
    assert frozen == ["linear_0.w_0"]


def test_a_program_of_paddle_2_has_all_parameters() -> None:
    """Every parameter and statistic with Paddle's name, shape and type; programs for inference forget who learns."""
    model = read(paddle_inference, files(*OLD))
    assert held(model) == wanted("old")
    assert model.complete
    assert not model.findings
    assert {one.group for one in stored(model).values()} == {"unknown", "statistic"}


def test_a_training_program_records_who_learns() -> None:
    """A parameter made with trainable=False is frozen, the others are trained."""
    model = read(paddle_inference, files("training.pdmodel"))
    found = {name: one.trainable for name, one in stored(model).items() if one.group != "statistic"}
    assert {name for name, trains in found.items() if not trains} == {"linear_0.w_0"}
    assert {one.trainable_source for one in stored(model).values() if one.group == "trainable"} == {"recorded"}
    assert not model.complete


@pytest.mark.parametrize(("reader", "names"), [(paddle_json, PIR), (paddle_inference, OLD)])
def test_layers_are_explained(reader: ModuleType, names: tuple[str, ...]) -> None:
    """Every layer with weights has a formula that gives its count; a bias added later belongs to its layer."""
    found = enrich(read(reader, files(*names)))
    explained = {layer.kind: layer.explanation.status for layer in found.layers if layer.explanation is not None}
    assert set(explained) >= {"conv2d", "depthwise_conv2d", "conv_transpose2d", "batch_norm", "linear", "layer_norm",
                              "embedding", "prelu", "lstm"}  # fmt: skip
    assert set(explained.values()) == {"complete"}
    assert not [one for one in found.findings if one.rule == "formula_mismatch"]


@pytest.mark.parametrize(("reader", "names"), [(paddle_json, PIR), (paddle_inference, OLD)])
def test_roles_follow_from_the_operators(reader: ModuleType, names: tuple[str, ...]) -> None:
    """Batch normalisation's five tensors, a convolution's filter and bias, a matrix product's kernel by their slots."""
    roles = {name: (one.role, one.layout) for name, one in stored(read(reader, files(*names))).items()}
    assert roles["batch_norm2d_0.w_1"] == ("moving_mean", None)
    assert roles["batch_norm2d_0.w_2"] == ("moving_variance", None)
    assert roles["conv2d_0.w_0"] == ("kernel", "OIHW")
    assert roles["conv2d_0.b_0"] == ("bias", None)
    assert roles["conv2d_transpose_0.w_0"] == ("kernel", "IOHW")
    assert roles["linear_0.w_0"] == ("kernel", "in-out")
    assert roles["embedding_0.w_0"] == ("embedding", None)


def test_the_graph_is_recorded() -> None:
    """Layers name those before them, also where a bias was added in between."""
    layers = {layer.path: layer for layer in read(paddle_inference, files(*OLD)).layers}
    assert layers["conv2d_0"].inputs == ("x",)
    assert layers["batch_norm2d_0"].inputs == ("conv2d_0",)
    assert layers["x"].output_shapes == ((None, 3, 16, 16),)


@pytest.mark.parametrize(("reader", "names"), [(paddle_json, PIR), (paddle_inference, OLD)])
def test_values_lie_where_it_says(reader: ModuleType, names: tuple[str, ...]) -> None:
    """Parameters follow each other in the order of their names, with 4 bytes per float, up to the end of the file."""
    parts = files(*names)
    places = sorted(
        (one.location.offset or 0, one.location.length or 0, name)
        for name, one in stored(read(reader, parts)).items() if one.location is not None
    )  # fmt: skip
    assert [name for _, _, name in places] == expected(CORPUS)[names[0].split(".", maxsplit=1)[0]]["order"]
    assert sum(places[-1][:2]) == len(parts[names[1]])


@pytest.mark.parametrize(("reader", "name"), [(paddle_json, "pir.json"), (paddle_inference, "old.pdmodel")])
def test_a_program_alone_is_incomplete(reader: ModuleType, name: str) -> None:
    """Without its parameters a program still tells every shape, and says what is missing."""
    model = read(reader, files(name))
    assert held(model) == wanted(name.split(".", maxsplit=1)[0])
    assert not model.complete
    assert "not uploaded" in str(model.notes[0])


def test_one_file_per_parameter() -> None:
    """A folder of `__model__` and its parameters is read as one model, each value in its own file."""
    model = read(paddle_inference, separate())
    place = stored(model)["conv2d_0.w_0"].location
    assert place is not None
    assert (place.member, place.length) == ("conv2d_0.w_0", 864)
    assert model.complete


def test_a_missing_parameter_is_named() -> None:
    """A folder that lacks a parameter is described without its place."""
    parts = separate()
    del parts["conv2d_0.w_0"]
    model = read(paddle_inference, parts)
    assert not model.complete
    assert "conv2d_0.w_0" in str(model.notes[0])


def test_parameters_without_a_program_have_no_names() -> None:
    """A stream tells shapes and places, in the order it holds them."""
    model = read(paddle_tensors, files("old.pdiparams"))
    order = [wanted("old")[name] for name in expected(CORPUS)["old"]["order"]]
    assert [(list(one.shape or ()), one.dtype) for one in model.layers[0].weights] == order
    assert "no names" in str(model.notes[0])


def test_a_folder_of_tensors_has_the_files_names() -> None:
    """Without a program the files' names tell layers by Paddle's numbering, as a rule."""
    parts = separate()
    del parts["__model__"]
    layers = {layer.path: layer for layer in read(paddle_tensors, parts).layers}
    assert (layers["batch_norm2d_0"].kind, layers["batch_norm2d_0"].type_source) == ("batch_norm", "rule")
    assert {one.name: one.role for one in layers["conv2d_0"].weights} == {"w_0": "kernel", "b_0": "bias"}


def test_a_tensor_in_binary_form() -> None:
    """A single tensor is one array of 4 × 5."""
    (weight,) = read(paddle_tensors, files("tensor.bin")).layers[0].weights
    assert (weight.shape, weight.dtype, weight.bytes) == ((4, 5), "float32", 80)


@pytest.mark.parametrize("name", ["state.pdparams", "state2.pdparams"])
def test_a_state_dict_has_all_arrays(name: str) -> None:
    """Every array with its name in the code, shape and type, in both protocols; shared ones are tied."""
    model = read(paddle_params, files(name))
    found = {one.stored_as: list(one.shape or ()) for layer in model.layers for one in layer.weights}
    assert found == {key: one["shape"] for key, one in expected(CORPUS)["state"]["parameters"].items()}
    ties = {one.stored_as: one.tied_to for layer in model.layers for one in layer.weights if one.tied_to}
    assert ties["gru.0.cell.weight_ih"] == "gru.weight_ih_l0"
    assert not model.security


def test_kinds_of_a_state_dict_follow_from_paddles_own_names() -> None:
    """A matrix is an embedding or a linear kernel, a filter transposed or not, as the numbered names tell."""
    kinds = {layer.path: layer.kind for layer in read(paddle_params, files("state.pdparams")).layers}
    assert kinds == kinds | {"emb": "embedding", "fc": "linear", "ct": "conv_transpose2d", "bn": "batch_norm",
                             "pr": "prelu", "ln": "layer_norm", "lstm": "lstm", "gru": "gru"}  # fmt: skip


def test_an_optimizer_is_a_state() -> None:
    """Moments are slots of an optimizer with their shapes; the schedule is its configuration."""
    model = read(paddle_params, files("optimizer.pdparams"))
    (state,) = model.states
    shapes = {one.name: list(one.shape or ()) for one in state.weights}
    assert shapes == {key: one["shape"] for key, one in expected(CORPUS)["optimizer"]["parameters"].items()}
    assert state.config["LR_Scheduler"]["last_lr"] == pytest.approx(0.1)
    assert {one.role for one in state.weights if "moment2" in one.name} == {"velocity"}
    assert not model.layers


def test_a_checkpoint_has_a_model_and_an_optimizer() -> None:
    """Nested dictionaries keep their names: the model's layers below `model`, the optimizer apart, the epoch a tag."""
    model = read(paddle_params, files("checkpoint.pdparams"))
    assert "model.conv" in {layer.path for layer in model.layers}
    assert [state.name for state in model.states] == ["opt"]
    assert model.info.tags["epoch"] == 3


def test_dictionaries_in_one_another_may_be_named_alike() -> None:
    """What holds two of them is there once; layers of one name have a number: no path twice, no weight lost."""
    one, other = {"conv.weight": np.ones((2, 3, 1, 1), "<f4")}, {"conv.weight": np.ones((4, 3, 1, 1), "<f4")}
    saved = {NAMES: {}, "a": {"b": one, "fc.weight": np.ones((2, 3), "<f4")}, "a.b": other, ("x",): one, ("y",): other}
    model = read(paddle_params, {"x.pdparams": pickle.dumps(saved, 2)})
    assert {layer.path: layer.weights[0].count for layer in model.layers if layer.weights} == {
        "a.fc": 6, "a.b.conv": 6, "a.b.conv_2": 12, "<tuple>.conv": 6, "<tuple>.conv_2": 12,
    }  # fmt: skip
    paths = [layer.path for layer in model.layers]
    assert len(paths) == len(set(paths))
    assert all(layer.parent is None or layer.parent in paths[:at] for at, layer in enumerate(model.layers))


class _Opener:
    """Pickles as a call of open()."""

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return open, ("/etc/passwd",)


def test_code_in_a_state_is_a_danger() -> None:
    """A pickle that would open a file is read without opening it, and told."""
    data = pickle.dumps({"linear_0.w_0": _Opener()})
    assert "pickle_global" in {one.code for one in read(paddle_params, {"x.pdparams": data}).security}


def test_another_models_parameters_are_found_out() -> None:
    """Parameters whose number or shapes are not the program's are told with both."""
    model = read(paddle_inference, files("old.pdmodel", "pir.pdiparams"))
    assert {one.rule for one in model.findings} == {"declared_mismatch", "parameter_differs"}
    assert not model.complete


def test_a_cut_stream_is_found_out() -> None:
    """Parameters that end early are told with the bytes that are missing."""
    parts = files(*OLD)
    parts["old.pdiparams"] = parts["old.pdiparams"][:-10]
    model = read(paddle_inference, parts)
    assert [one.rule for one in model.findings] == ["data_truncated"]
    assert not model.complete


def test_damaged_heads_have_their_place() -> None:
    """A stream that has no tensor where one should begin, or an unknown element type, is an error at that byte."""
    data = files("old.pdiparams")["old.pdiparams"]
    broken = data[:56] + b"\x07" + data[57:]
    with pytest.raises(MalformedFile) as caught:
        paddle_tensors.read(upload({"p": broken}))
    assert caught.value.info.offset == 56
    strange = data[:77] + b"\x63" + data[78:]
    with pytest.raises(UnsupportedFeature) as unknown:
        paddle_tensors.read(upload({"p": strange}))
    assert unknown.value.info.offset == 76


def test_a_cut_program_is_named() -> None:
    """A protobuf or a JSON that ends early is still Paddle's, with the exact error."""
    with pytest.raises(TruncatedFile):
        paddle_inference.read(upload({"m.pdmodel": files("old.pdmodel")["old.pdmodel"][:5000]}))
    with pytest.raises(MalformedJson):
        paddle_json.read(upload({"m.json": files("pir.json")["pir.json"][:5000]}))


def test_operators_that_reach_outside_are_dangers() -> None:
    """Code that is not in the file, and operators that read files, are told with what they name."""
    document = json.loads(files("pir.json")["pir.json"])
    operators = document["program"]["regions"][0]["blocks"][0]["ops"]
    operators.append({"#": "3.my_operator", "A": [], "I": [], "O": []})
    path = {"AT": {"#": "0.a_str", "D": "/etc/passwd"}, "N": "file_path"}
    operators.append({"#": "1.load_combine", "A": [path], "I": [], "O": []})
    model = read(paddle_json, {"m.json": json.dumps(document).encode()})
    assert {(one.code, one.detail) for one in model.security} == {
        ("paddle_custom_operator", None), ("paddle_file_operator", "/etc/passwd"),
    }  # fmt: skip


def test_models_are_found_among_other_files() -> None:
    """Programs with the parameters of the same name are one model each; other files are nobody's."""
    parts = {f"a/{name}": data for name, data in files(*OLD, *PIR).items()}
    given = upload({**parts, "a/README.md": b"hello", "a/config.json": b"{}"})
    assert paddle_inference.find(given) == (frozenset(f"a/{name}" for name in OLD),)
    assert paddle_json.find(given) == (frozenset(f"a/{name}" for name in PIR),)
    folder = {f"b/{name}": data for name, data in separate().items()}
    assert paddle_inference.find(upload(folder)) == (frozenset(folder),)
    del folder["b/__model__"]
    assert paddle_tensors.find(upload({**folder, "b/vocabulary.txt": b"x"})) == (frozenset(folder),)


@pytest.mark.parametrize("names", [PIR, OLD, ("state.pdparams",), ("tensor.bin",), ("training.pdmodel",)])
def test_damaged_files_give_input_errors_only(names: tuple[str, ...]) -> None:
    """Whatever byte is flipped and wherever the file is cut, the answer is a model or an InputError."""
    draw = random.Random(20261121)  # noqa: S311 - a corpus, not a secret
    parts = files(*names)
    for round_ in range(120):
        place = draw.choice(names)
        data = bytearray(parts[place])
        for _ in range(draw.choice((1, 1, 3))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        if round_ % 4 == 0:
            del data[draw.randrange(len(data)) :]
        given = upload({**parts, place: bytes(data)})
        for reader in READERS:
            try:
                if reader.accept(given):
                    enrich(reader.read(given))
            except InputError:
                continue


def test_other_files_are_not_taken() -> None:
    """Empty files, zeros, JSON of others and pickles without Paddle's names belong to somebody else."""
    other = [b"", bytes(100), b"{}", b'{"base_code": 1}', pickle.dumps({"a": 1}), b"\x0a\x02ab", b"\x08\x01"]
    for data in other:
        assert not [reader for reader in READERS if reader.accept(upload({"x": data}))], data
