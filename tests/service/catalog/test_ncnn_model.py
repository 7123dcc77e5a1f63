"""ncnn's layers as ours: paths, edges by blob, shapes from hints, places and packed sizes of weights."""

from __future__ import annotations

import pytest

from service.catalog.ncnn_bin import place
from service.catalog.ncnn_model import layers_of, paths_of, plan_of
from service.config import Limits
from service.errors import LimitExceeded
from service.parsers.ncnn import Entry
from service.source import BytesSource, Meter
from service.tree import Layer

INPUT = Entry("Input", "data", (), ("data",), {0: 8, 1: 4, 2: 3})
LINEAR = Entry("InnerProduct", "fc", ("data",), ("x",), {0: 2, 1: 1, 2: 6})


def layers(*entries: Entry, data: bytes | None = None) -> list[Layer]:
    """What is described, with the arrays of a `.bin` if there is one."""
    plan = plan_of(entries, Limits())
    placing = None if data is None else place(plan.flat(), BytesSource(data, Meter(Limits())))
    return list(layers_of(plan, placing, "m.bin" if data is not None else None))


def test_layers_of_one_name_are_told_apart() -> None:
    """By their place; a name that was made so is not taken twice."""
    entries = [Entry("ReLU", name, (), ()) for name in ("a", "a", "a#1", "b", "a")]
    found = paths_of(entries)
    assert found[0] == "a"
    assert found[3] == "b"
    assert len(set(found)) == 5


def test_edges_follow_the_blobs() -> None:
    """Also through a Split, and not to a blob that nobody makes."""
    found = layers(
        INPUT, Entry("Split", "s", ("data",), ("a", "b")), Entry("BinaryOp", "add", ("a", "b", "lost"), ("c",))
    )
    assert [layer.inputs for layer in found] == [(), ("data",), ("s", "s")]


def test_an_input_has_its_own_sizes_turned_round() -> None:
    """Width, height, channels as they are written; channels first here, after an open batch."""
    (found,) = layers(INPUT)
    assert (found.kind, found.output_shapes) == ("input", ((None, 3, 4, 8),))


@pytest.mark.parametrize(("hints", "shapes"), [
    ((3, 8, 4, 2), ((None, 2, 4, 8),)), ((1, 5, 0, 0), ((None, 5),)), ((2, 5, 7, 0), ((None, 7, 5),)), ((3, 8), None),
    ((9, 8, 4, 2), ((None, 2, 4, 8),)), ((-1, 8, 4, 2), ((None,),)),
])  # fmt: skip
def test_hints_are_shapes_of_outputs(hints: tuple[int, ...], shapes: object) -> None:
    """Number of axes and three sizes for each output; anything else says nothing."""
    (found,) = layers(Entry("ReLU", "r", (), ("x",), {30: hints}))
    assert found.output_shapes == shapes


def test_weights_have_their_places() -> None:
    """A kernel behind its flag and a bias after it; without the `.bin` only what is always so is known."""
    kernel, bias = layers(LINEAR, data=bytes(4 + 24 + 8))[0].weights
    assert (kernel.dtype, kernel.location and kernel.location.offset, kernel.bytes) == ("float32", 4, 24)
    assert (bias.location and bias.location.offset, bias.stored_as) == (28, "fc/bias")
    alone = layers(LINEAR)[0].weights
    assert [(one.dtype, one.bytes, one.location) for one in alone] == [(None, None, None), ("float32", 8, None)]


def test_packed_weights_tell_what_they_mean_and_what_is_stored() -> None:
    """Six rows of 70 values of four bits, also without the `.bin`."""
    block = Entry("Gemm", "g", ("in",), ("out",), {3: 1, 5: 1, 8: 6, 9: 70, 18: 401})
    for found in (layers(block)[0], layers(block, data=bytes(212 + 48))[0]):
        kernel = found.weights[0]
        assert (found.kind, kernel.dtype, kernel.count, kernel.stored_count, kernel.bytes) == (
            "linear", "int4", 420, 210, 210,
        )  # fmt: skip


def test_more_arrays_than_allowed_are_refused() -> None:
    """Counted before any is described."""
    with pytest.raises(LimitExceeded):
        plan_of((LINEAR,) * 3, Limits(weights=5))
