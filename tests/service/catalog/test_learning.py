"""What of a graph's constants is a parameter: by rule where the file does not say, and the same in every format."""

from __future__ import annotations

from types import ModuleType

import pytest

from service.catalog.learning import free_role, learning
from service.readers import (
    coreml,
    coreml_package,
    flax,
    ncnn,
    openvino,
    orbax,
    paddle_inference,
    paddle_json,
    paddle_params,
)
from service.tree import Totals
from tests.corpus import corpus_dir, expected
from tests.service.readers.fielded import described

READERS = {
    "coreml_program": coreml_package, "coreml_network": coreml, "openvino": openvino, "flax": flax, "ncnn": ncnn,
    "orbax_zarr": orbax, "orbax_ocdbt": orbax, "paddle_json": paddle_json, "paddle_params": paddle_params,
    "paddle_inference": paddle_inference,
}  # fmt: skip


@pytest.mark.parametrize(
    ("role", "dtype", "recorded", "logical", "answer"),
    [
        ("constant", "int64", None, None, ("statistic", False, "rule")),
        ("constant", "float32", True, None, ("statistic", False, "rule")),
        ("moving_mean", "float32", None, None, ("statistic", False, "rule")),
        ("moving_mean", "float32", True, None, ("statistic", False, "rule")),
        ("kernel", "float32", None, None, ("unknown", None, "unknown")),
        ("kernel", "float16", True, None, ("trainable", True, "recorded")),
        ("kernel", "float16", False, None, ("frozen", False, "recorded")),
        ("kernel", "int8", None, None, ("frozen", False, "rule")),
        ("kernel", "int8", True, None, ("frozen", False, "rule")),
        ("parameter", "int64", None, None, ("statistic", False, "rule")),
        ("bias", "uint8", None, "float32", ("frozen", False, "rule")),
        ("quant_scale", "uint8", None, "float32", ("statistic", False, "rule")),
    ],
)
def test_who_learns(
    role: str, dtype: str, recorded: bool | None, logical: str | None, answer: tuple[str, bool | None, str]
) -> None:
    """Statistics and constants never, whole numbers no more, codes are frozen, else what is recorded."""
    assert learning(role, dtype, recorded, logical=logical) == answer


def test_only_several_real_numbers_are_taken_for_learned() -> None:
    """Of operands without a role: a vector of floats may be learned; axes, shapes, one number steer."""
    assert free_role("float32", (8,)) == "parameter"
    assert free_role("float16", (1, 4), "bias") == "bias"
    assert free_role("bfloat16", None) == "parameter"
    assert {free_role("float32", ()), free_role("float32", (1,)), free_role("int64", (4,)), free_role(None, (4,))} == {
        "constant"
    }


def totals(name: str, reader: ModuleType) -> Totals:
    """The totals of a model of the corpus."""
    files = expected("field_same")[name]
    found = described(reader, {file: (corpus_dir("field_same") / file).read_bytes() for file in files})
    assert found.totals is not None
    return found.totals


@pytest.mark.parametrize("name", READERS)
def test_a_network_has_as_many_parameters_in_every_format(name: str) -> None:
    """330 parameters and 16 moving statistics, as Keras counts; beside them only what steers, which is a statistic."""
    found = totals(name, READERS[name])
    assert found.parameters == 330
    steering = {"openvino": 4}.get(name, 0)
    assert found.statistics == 16 + steering
    assert found.other == 0


def test_all_bytes_are_in_the_total() -> None:
    """OpenVINO's constants that steer are bytes of its file: the parts and the element types add up to the same."""
    size = totals("openvino", openvino).bytes
    assert size.total == sum(size.by_dtype.values()) == 4 * (330 + 16) + 8 * 4
