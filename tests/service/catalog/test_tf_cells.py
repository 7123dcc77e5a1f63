"""Cells of TensorFlow 1 by the names and shapes of their variables, as `tf.nn.rnn_cell` makes them."""

from __future__ import annotations

import pytest

from service.catalog.tf_cells import Told, cells_in, state_of
from service.tree import Layer
from tests.corpus import corpus_dir, expected
from tests.service.readers.tf_uploads import by_path, files_below, of_paths, read, stored

CORPUS = "keras_cells"
CLASSES = {
    "basic/basic_lstm_cell": ("BasicLSTMCell", "lstm"),
    "full/lstm_cell": ("LSTMCell", "lstm"),
    "projected/lstm_cell": ("LSTMCell", "lstm"),
    "gated/gru_cell": ("GRUCell", "gru"),
    "plain/basic_rnn_cell": ("BasicRNNCell", "simple_rnn"),
    "named/my_cell": (None, "rnn_cell"),
    "stack/multi_rnn_cell/cell_0/basic_lstm_cell": ("BasicLSTMCell", "lstm"),
    "stack/multi_rnn_cell/cell_1/basic_lstm_cell": ("BasicLSTMCell", "lstm"),
}


def checkpoint() -> dict[str, Layer]:
    """The layers of the corpus' checkpoint."""
    paths = {name: path for name, path in files_below(corpus_dir(CORPUS)).items() if name.startswith("graph.ckpt")}
    model = read(of_paths(paths))
    shapes = expected(CORPUS)["variables"]
    assert {key: list(weight.shape) for key, weight in stored(model).items()} == shapes
    return by_path(model)


def test_cells_are_what_tensorflow_made():
    """Class, kind and count of every cell of `tf.nn.rnn_cell`; both directions of a bidirectional one."""
    layers = checkpoint()
    told = expected(CORPUS)["cells"]
    assert told.keys() == CLASSES.keys()
    for path, (class_name, kind) in CLASSES.items():
        layer = layers[path]
        assert (layer.type, layer.kind, layer.type_source) == (class_name, kind, "rule")
        assert layer.counts.parameters == told[path]["parameters"]
    assert {layers[f"both/{way}/gru_cell"].type for way in ("fw", "bw")} == {"GRUCell"}


@pytest.mark.parametrize(
    ("path", "formula"),
    [
        ("basic/basic_lstm_cell", "4 × (8 × 5 + 5 × 5 + 5) = 280"),
        ("full/lstm_cell", "4 × (8 × 6 + 4 × 6 + 6) + 4 × 6 + 3 × 6 = 354"),
        ("projected/lstm_cell", "4 × (8 × 6 + 2 × 6 + 6) + 2 × 6 = 276"),
        ("gated/gru_cell", "3 × (8 × 7 + 7 × 7 + 7) = 336"),
    ],
)
def test_formulas_tell_units_and_inputs_apart(path, formula):
    """8 inputs, units, projection and peepholes as the cells were made with, though one kernel holds them together."""
    layer = checkpoint()[path]
    assert layer.explanation.formula == formula
    assert layer.explanation.status == "complete"
    assert "below them" in str(layer.explanation.text)


def test_roles_and_doubt():
    """Kernels, biases, projection and peepholes; of a cell under the program's own name only that it is one."""
    layers = checkpoint()
    roles = {weight.name: weight.role for weight in layers["full/lstm_cell"].weights}
    assert roles == {
        "kernel": "kernel", "bias": "bias", "w_f_diag": "weight", "w_i_diag": "weight", "w_o_diag": "weight",
        "projection/kernel": "projection_kernel",
    }  # fmt: skip
    assert "not of which class" in str(layers["named/my_cell"].notes[0])
    assert layers["named/my_cell"].explanation.status == "partial"


def test_a_table_that_the_graph_looks_up_is_an_embedding():
    """`wide/weights` is read by SparseSegmentMean alone, whatever its name."""
    layer = checkpoint()["wide"]
    assert (layer.type, layer.kind) == ("Embedding", "embedding")
    assert [(weight.name, weight.role) for weight in layer.weights] == [("weights", "embedding")]


def test_products_in_a_frozen_graph_say_which_cell_they_are_of():
    """A frozen graph runs a cell operation by operation: its products bear a note, the projection and others none."""
    path = corpus_dir(CORPUS) / "frozen.pb"
    model = read(of_paths({"frozen.pb": path}))
    found = {key: weight for key, weight in stored(model).items() if weight.count != 1}
    assert {key: list(weight.shape) for key, weight in found.items()} == expected(CORPUS)["frozen"]
    noted = {layer.path: str(layer.notes[0]) for layer in model.layers if layer.notes}
    assert "GRUCell" in noted["gated/while/gru_cell/MatMul_1"]
    assert "BasicLSTMCell" in noted["basic/while/basic_lstm_cell/MatMul"]
    assert "full/while/lstm_cell/MatMul_1" not in noted
    assert by_path(model)["SparseSegmentMean"].kind == "embedding"


def test_operations_that_run_a_whole_cell():
    """BlockLSTM with peepholes and without: what it does not read is no weight; GRUBlockCell has two kernels."""
    layers = by_path(read(of_paths({"fused.pb": corpus_dir(CORPUS) / "fused.pb"})))
    assert {name: layers[name].kind for name in ("seeing", "blind", "step")} == {
        "seeing": "lstm", "blind": "lstm", "step": "gru",
    }  # fmt: skip
    assert {name: layers[name].explanation.formula for name in ("seeing", "blind", "step")} == {
        "seeing": "4 × (8 × 5 + 5 × 5 + 5) + 3 × 5 = 295",
        "blind": "4 × (8 × 5 + 5 × 5 + 5) = 280",
        "step": "3 × (8 × 5 + 5 × 5 + 5) = 210",
    }


LSTM = {"kernel": (13, 20), "bias": (20,)}


@pytest.mark.parametrize(
    ("scope", "shapes", "found"),
    [
        ("a/basic_lstm_cell_3", LSTM, Told("BasicLSTMCell", "lstm")),
        ("a/basic_lstm_cell", {"weights": (13, 20), "biases": (20,)}, Told("BasicLSTMCell", "lstm")),
        ("a/odd", {**LSTM, "w_i_diag": (5,)}, Told(None, "lstm")),
        ("a/odd", {"gates/kernel": (9, 4), "candidate/kernel": (9, 2)}, Told(None, "gru")),
        ("a/odd", LSTM, None),
        ("a/lstm_cell", {"kernel": (4, 20), "bias": (20,)}, None),
        ("a/lstm_cell", {"kernel": (13, 19), "bias": (19,)}, None),
        ("a/lstm_cell", {**LSTM, "attention": (3,)}, None),
        ("a/lstm_cell", {"kernel": (13, 20), "bias": (21,)}, None),
        ("a/gru_cell", {"gates/kernel": (9, 4), "candidate/kernel": (8, 2)}, None),
        ("a/my_cell", {"kernel": None}, None),
        ("my_cell", {}, None),
    ],
)
def test_only_what_fits_is_a_cell(scope, shapes, found):
    """Names alone do not make a cell: as many inputs as at least one, gates of whole units, nothing left over."""
    cells = cells_in((f"{scope}/{name}", shape) for name, shape in shapes.items())
    assert cells == ({} if found is None else {scope: found})


def test_state_of_a_kernel():
    """Rows that are not the state's are the inputs'; a projection carries fewer values than there are units."""
    assert state_of("lstm", (13, 20)) == (8, 5, 5)
    assert state_of("lstm", (10, 24), (6, 2)) == (8, 6, 2)
    assert state_of("lstm", (5, 20)) is None
    assert state_of("lstm", (13, 20), (4, 2)) is None
