"""Sizes that are asked for, calls, totals and what is said where something is not known; on files and small graphs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from service.enrich.cost.add import recost
from service.enrich.pipeline import enrich
from service.tree import Layer
from tests.builders import layer, report, weight
from tests.corpus import ROOT
from tests.enriching import add_costs
from tests.service.enrich.cost.tools import by_path, costed, read, total

SAMPLES = ROOT / "docs" / "samples"


def conv(path: str, inputs: tuple[str, ...] | None, sizes: tuple[int | None, ...], **more: Any) -> Layer:
    """A 3×3 Conv2D of 4 filters with `same` padding over 4 channels."""
    config = {"filters": 4, "kernel_size": [3, 3], "padding": "same", **more.pop("config", {})}
    shape = ((None, *sizes, 4),)
    return layer(path, "conv2d", weight("kernel", (3, 3, 4, 4), "kernel"), type="Conv2D", config=config,
                 inputs=inputs, **{"input_shapes": shape, "output_shapes": shape, **more})  # fmt: skip


def test_a_batch_multiplies_everything_but_weights() -> None:
    """Twice the examples: twice the MACs, FLOPs and activations, the same parameter bytes."""
    one, four = (total(add_costs(read(SAMPLES / "digits.keras"), batch)) for batch in (1, 4))
    assert one.macs.value == 18432 + 1280
    for column in ("macs", "flops", "activation_elements", "activation_bytes"):
        assert getattr(four, column).value == 4 * getattr(one, column).value
        assert getattr(four, column).status == "complete"
    assert four.parameter_bytes == one.parameter_bytes


@pytest.mark.parametrize("name", ["digits_module.pt", "digits_torchscript.pt"])
def test_a_chain_of_torch_modules_follows_the_input_asked_for(name: str) -> None:
    """Without an input size the answer says what to ask; with it, it is that of the exported program."""
    made = read(SAMPLES / name)
    open_cost = by_path(add_costs(made))["0"].macs
    assert (open_cost.value, open_cost.status) == (None, "unavailable")
    assert "?input_shape=" in str(open_cost.method)
    found, exported = total(add_costs(made, 1, ((1, 16, 16),))), total(add_costs(read(SAMPLES / "digits.pt2")))
    assert (found.macs.value, found.macs.status) == (exported.macs.value, "complete")
    assert found.memory == exported.memory
    assert "asked for was used" in str(found.macs.assumptions[0])


def test_a_state_dict_has_no_order_to_follow() -> None:
    """An input shape does not help; what needs no positions is given, the rest is unavailable and counted."""
    made = add_costs(read(SAMPLES / "digits_state_dict.pt"), 1, ((1, 16, 16),))
    found = total(made)
    assert (found.macs.value, found.macs.status) == (1280, "partial")
    assert found.uncounted == sum(cost.macs.value is None for cost in by_path(made).values()) > 0
    said = [str(note) for note in found.macs.assumptions]
    assert any("not used" in note for note in said)
    assert any(f"{found.uncounted} layers are left out" in note for note in said)


def test_open_sizes_of_a_keras_graph_are_worked_out() -> None:
    """(None, None, 4) with branches: the given 6 × 5 goes through strides, upsampling, concatenation and pooling."""
    layers = (
        layer("in", "input", type="InputLayer", inputs=(), input_shapes=((None, None, None, 4),),
              output_shapes=((None, None, None, 4),)),
        conv("a", ("in",), (None, None), config={"strides": [2, 2]}),
        layer("up", "upsample", type="UpSampling2D", config={"size": [2, 2]}, inputs=("a",),
              input_shapes=((None, None, None, 4),), output_shapes=((None, None, None, 4),)),
        layer("cat", "merge", type="Concatenate", config={"axis": 1}, inputs=("in", "up"),
              input_shapes=((None, None, None, 4),) * 2, output_shapes=((None, None, None, 4),)),
    )  # fmt: skip
    found = by_path(costed("keras", *layers, batch=2, inputs=((6, 6, 4),)))
    assert [found[path].activation_elements.value for path in ("in", "a", "up", "cat")] == [288, 72, 288, 576]
    assert found["a"].macs.value == 2 * 9 * 144


def test_a_given_shape_that_contradicts_the_file_is_not_used() -> None:
    """The file fixes 4 channels: an input of 3 is refused, and said so."""
    made = costed("keras", conv("a", (), (None, None)), inputs=((6, 6, 3),))
    assert total(made).macs.status == "unavailable"
    fixed = costed("keras", conv("a", (), (6, 6)), inputs=((9, 9, 4),))
    assert total(fixed).macs.value == 36 * 144
    assert "was not used" in str(total(fixed).macs.assumptions[0])


def test_a_nested_model_passes_sizes_in_and_out() -> None:
    """What feeds a nested model feeds its first layers; its last layer's output is the model's."""
    layers = (
        layer("in", "input", type="InputLayer", inputs=(), output_shapes=((None, None, None, 4),)),
        layer("m", "container", type="Functional", inputs=("in",), uses=1),
        layer("m/in", "input", type="InputLayer", parent="m", inputs=("in",), output_shapes=((None, None, None, 4),)),
        conv("m/c", ("m/in",), (None, None), parent="m"),
        conv("d", ("m",), (None, None)),
    )
    found = by_path(costed("keras", *layers, inputs=((3, 3, 4),)))
    assert [found[path].macs.value for path in ("m", "m/c", "d")] == [0, 9 * 144, 9 * 144]
    assert found["d"].receptive_field is not None
    assert found["d"].receptive_field.value == (5, 5)


def test_a_shared_layer_costs_at_every_call() -> None:
    """Twice the same size: twice the cost; different sizes: each its own."""
    made = costed("keras", conv("a", (), (6, 6)), conv("b", (), (6, 6)), conv("s", ("a", "b"), (6, 6), uses=2))
    assert (total(made).macs.value, total(made).macs.status) == (4 * 36 * 144, "complete")
    other = costed("keras", conv("a", (), (6, 6)), conv("b", (), (3, 3)), conv("s", ("a", "b"), (6, 6), uses=2))
    assert total(other).macs.value == (36 + 9 + 36 + 9) * 144
    assert by_path(other)["s"].calls == 2


def test_a_nested_model_called_three_times_costs_three_times() -> None:
    """Calls of a container multiply those inside; where the sizes of later calls are not known, it is partial."""
    layers = (
        conv("a", (), (6, 6)),
        layer("m", "container", type="Functional", inputs=("a",), uses=3),
        conv("m/c", ("a",), (6, 6), parent="m", uses=1),
    )
    found = total(costed("keras", *layers)).macs
    assert (found.value, found.status) == (4 * 36 * 144, "partial")


def test_a_layer_that_occurs_again_uses_the_weights_of_the_first() -> None:
    """`shared_with`: no weights of its own, and still its cost."""
    again = layer("b", "linear", type="Dense", shared_with="a", inputs=("a",), input_shapes=((None, 8),),
                  output_shapes=((None, 8),))  # fmt: skip
    first = layer("a", "linear", weight("kernel", (8, 8), "kernel"), type="Dense", inputs=(),
                  input_shapes=((None, 8),), output_shapes=((None, 8),))  # fmt: skip
    found = costed("keras", first, again)
    assert total(found).macs.value == 128
    assert total(found).parameter_bytes.value == {"float32": 256}


def test_a_batch_fixed_at_export_is_said() -> None:
    """Numbers are for the stored batch; asked for another one they are partial."""
    held = layer("0", "linear", weight("weight", (4, 8), "kernel"), type="Linear", inputs=(), uses=1,
                 input_shapes=((3, 8),), output_shapes=((3, 4),))  # fmt: skip
    same, other = (total(costed("torch", held, batch=batch)).macs for batch in (3, 5))
    assert (same.value, same.status) == (96, "complete")
    assert (other.value, other.status) == (96, "partial")
    assert "3 examples" in str(other.assumptions[0])


def test_a_stored_report_is_costed_anew() -> None:
    """`recost` gives what `add_costs` gives for the model, and changes nothing else."""
    made = enrich(read(SAMPLES / "digits.keras"))
    stored = report(add_costs(made))
    found = recost(stored, 8, None)
    expected = add_costs(made, 8)
    assert (found.cost, found.layers) == (expected.cost, expected.layers)
    assert msgspec.structs.replace(found, cost=stored.cost, layers=stored.layers) == stored


def test_half_of_a_class_of_ones_own_is_said_to_be_missing() -> None:
    """A custom container's own code is not counted: the total is partial, even if everything inside is known."""
    made = costed("torch", layer("m", "container", type="Mine", custom=True, inputs=(), uses=1),
                  layer("m.a", "activation", type="ReLU", parent="m", inputs=(), uses=1, input_shapes=((None, 3),),
                        output_shapes=((None, 3),)))  # fmt: skip
    assert by_path(made)["m"].macs.status == "unavailable"
    assert total(made).flops.status == "partial"


def test_an_exported_graph_shows_that_nothing_is_missing() -> None:
    """torch.export lists all operations: if layers make every matrix product, containers of one's own cost none.

    A checkpoint that holds something called `operations` shows nothing.
    """
    held = layer("m.a", "linear", weight("weight", (4, 8), "kernel"), type="Linear", parent="m", inputs=(), uses=1,
                 input_shapes=((None, 8),), output_shapes=((None, 4),))  # fmt: skip
    own = layer("m", "container", type="Mine", custom=True, inputs=(), uses=1)
    for operations, status in (
        ({"torch.ops.aten.linear.default": 1}, "complete"),
        ({"torch.ops.aten.linear.default": 1, "torch.ops.aten.matmul.default": 1}, "partial"),
    ):
        found = costed("torch", own, held, tags={"operations": operations}, format="torch_export")
        assert total(found).macs.status == status  # fmt: skip
        forged = costed("torch", own, held, tags={"operations": operations}, format="torch_zip")
        assert total(forged).macs.status == "partial"


@pytest.mark.parametrize(("framework", "helps"), [("keras", True), ("onnx", False), ("tflite", False)])
def test_an_input_size_is_asked_for_where_it_can_be_followed(framework: str, helps: bool) -> None:
    """Shapes follow by the rules of Keras and PyTorch; of other frameworks nobody is told to ask again."""
    entry = layer("in", "input", type="InputLayer", inputs=(), input_shapes=((None, None, None, 4),),
                  output_shapes=((None, None, None, 4),))  # fmt: skip
    found = by_path(costed(framework, entry, conv("a", ("in",), (None, None)), conv("b", ("a",), (None, None))))
    for path in ("a", "b"):
        assert found[path].macs.status == "unavailable"
        assert ("?input_shape=" in str(found[path].macs.method)) is helps
