"""Paddle 3's JSON: short keys, dialects by number, operands in the order of the operators' definitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.parsers.paddle_pir import is_pir, program
from service.parsers.paddle_program import Operator, Program, Variable


def tensor(dtype: str, *sizes: int) -> dict[str, Any]:
    return {"#": "0.t_dtensor", "D": [{"#": f"0.{dtype}"}, list(sizes), "NCHW", [], 0]}


def result(number: int, dtype: str = "t_f32", *sizes: int) -> dict[str, Any]:
    return {"%": number, "TT": tensor(dtype, *sizes)}


def parameter(number: int, name: str, flags: list[int] | None = None) -> dict[str, Any]:
    one: dict[str, Any] = {"#": "p", "A": [0, 1, 1, name], "O": result(number, "t_f32", 4, 4)}
    return one if flags is None else {**one, "OA": flags}


def operator(kind: str, operands: list[int], results: list[int], **settings: Any) -> dict[str, Any]:
    held = [{"N": name, "AT": value} for name, value in settings.items()]
    return {"#": kind, "A": held, "I": [{"%": one} for one in operands], "O": [result(one) for one in results]}


def document(*ops: Any, version: Any = 4) -> dict[str, Any]:
    regions = [{"#": "region_0", "blocks": [{"#": "block_0", "args": [], "ops": list(ops)}]}]
    return {"base_code": {"magic": "pir", "version": version}, "program": {"regions": regions}}


def read(*ops: Any, **limits: int) -> Program:
    return program(json.dumps(document(*ops)).encode(), Limits(**limits))


def one_operator(*ops: Any) -> Operator:
    (found,) = read(*ops).blocks[0]
    return found


def test_parameters_say_whether_they_are_trained() -> None:
    """Flags are persistable, stop_gradient and trainable; without them nothing is recorded."""
    found = read(parameter(1, "w", [1, 0, 1]), parameter(2, "fixed", [1, 1, 0]), parameter(3, "plain")).variables
    assert found["w"] == Variable("w", "float32", (4, 4), persistable=True, parameter=True, trainable=True)
    assert (found["fixed"].trainable, found["plain"].trainable) == (False, None)
    assert found["plain"].persistable


@pytest.mark.parametrize(
    ("short", "full"),
    [("0.combine", "builtin.combine"), ("1.conv2d", "conv2d"), ("2.yield", "cf.yield"), ("3.mine", "custom_op.mine"),
     ("4.shard_tensor", "pd_dist.shard_tensor"), ("builtin.shadow_output", "builtin.shadow_output")],
)  # fmt: skip
def test_dialects_by_number(short: str, full: str) -> None:
    """As Paddle's DialectIdMap has them; operators of its own are told without their dialect."""
    found = one_operator(operator(short, [], []))
    assert found.type == full


@pytest.mark.parametrize(
    ("kind", "count", "slots"),
    [
        ("conv2d", 2, ["Input", "Filter"]),
        ("batch_norm_", 5, ["X", "Mean", "Variance", "Scale", "Bias"]),
        ("layer_norm", 3, ["X", "Scale", "Bias"]),
        ("rms_norm", 2, ["X", "Scale"]),
        ("rms_norm", 5, ["X", "Bias", "Residual", "Scale", "Offset"]),
        ("embedding", 2, ["Ids", "W"]),
        ("c_embedding", 2, ["W", "Ids"]),
        ("linear_v2", 3, ["Input", "W", "Bias"]),
        ("deformable_conv", 4, ["Input", "Offset", "Filter", "Mask"]),
        ("dequantize_linear", 5, ["X", "Scale", "ZeroPoint", "3", "4"]),
        ("unheard_of", 2, ["0", "1"]),
    ],
)
def test_operands_by_their_place(kind: str, count: int, slots: list[str]) -> None:
    """The names of the definition; of an operator that is not known, and of those beyond, the number."""
    operands = [parameter(one, f"w{one}") for one in range(1, count + 1)]
    found = one_operator(*operands, operator(f"1.{kind}", list(range(1, count + 1)), [99]))
    assert found.inputs == {slot: [f"w{index + 1}"] for index, slot in enumerate(slots)}
    assert found.outputs == {"Out": ["%99"]}


def test_lists_of_values_are_one_operand() -> None:
    """`combine` only makes a list: the operator that reads it has all of them in one slot; a left out operand none."""
    found = one_operator(
        parameter(1, "a"), parameter(2, "b"), operator("0.combine", [1, 2], [7]),
        operator("1.rnn", [5, 0, 7], [9]),
    )  # fmt: skip
    assert found.inputs == {"Input": ["%5"], "PreState": [], "WeightList": ["a", "b"]}


def test_settings_are_plain_values() -> None:
    """Numbers, texts, and arrays of values with types of their own."""
    array = {"#": "0.a_array", "D": [{"#": "0.a_i32", "D": 1}, {"#": "0.a_i32", "D": 2}]}
    found = one_operator(
        operator("1.conv2d", [], [], groups={"#": "0.a_i32", "D": 8}, strides=array, name={"#": "0.a_str", "D": "x"})
    )
    assert found.attributes == {"groups": 8, "strides": [1, 2], "name": "x"}


def test_types_of_results() -> None:
    """Element types by their names; -1 is an open size; what is no dense tensor has neither."""
    ops = operator("1.split", [], [])
    ops["O"] = [result(1, "t_bf16", -1, 3), result(2, "t_new", 2), {"%": 3, "TT": {"#": "0.t_vec", "D": []}}, {"%": 4}]
    found = read(ops).variables
    assert {name: (one.dtype, one.shape) for name, one in found.items()} == {
        "%1": ("bfloat16", (None, 3)), "%2": (None, (2,)), "%3": (None, None), "%4": (None, None),
    }  # fmt: skip


def test_blocks_inside_operators_are_numbered() -> None:
    """A loop's operator names the blocks of its regions, which follow the main one."""
    inner = {"#": "region_1", "blocks": [{"#": "b", "args": [], "ops": [operator("1.relu", [], [2])]}]}
    found = read({**operator("1.while", [], [1]), "regions": [inner, inner]})
    assert found.blocks[0][0].blocks == (1, 2)
    assert [one.type for one in found.blocks[1]] == ["relu"]


def test_what_says_that_it_is_pir() -> None:
    """The word in its head, and a program."""
    assert is_pir(document())
    for other in ({}, {"base_code": {"magic": "pir"}}, {"base_code": {"magic": "x"}, "program": {}}, [], None, 3):
        assert not is_pir(other)


@pytest.mark.parametrize("ops", [[3], [{}], [{"#": 5}], [{"#": "p"}], [{"#": "p", "A": [0, 0, 0, 7]}]])
def test_what_is_broken_is_refused(ops: list[Any]) -> None:
    """An operator without a type, a parameter without a name."""
    with pytest.raises(MalformedFile):
        read(*ops)


def test_anything_in_the_place_of_the_rest_is_left_out() -> None:
    """Settings, operands and results of other shapes; without a block there is no program."""
    found = one_operator({"#": "1.relu", "A": 3, "I": ["x", {"%": "y"}], "O": [{"%": True}], "regions": {}})
    assert (found.inputs, found.attributes) == ({"0": [], "1": []}, {})
    for regions in (None, [], [{}], [3]):
        with pytest.raises(MalformedFile):
            program(json.dumps({**document(), "program": {"regions": regions}}).encode(), Limits())


def test_limits_hold() -> None:
    """Operators and depth."""
    with pytest.raises(LimitExceeded):
        read(*[operator("1.relu", [], [n]) for n in range(5)], layers=4)
    one = operator("1.relu", [], [1])
    for _ in range(40):
        one = {**operator("1.if", [], [1]), "regions": [{"blocks": [{"ops": [one]}]}]}
    with pytest.raises(LimitExceeded):
        read(one)
