"""One variable of a PaddlePaddle program as a weight: role, axis order, who learns; knows no graph and no file."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from service.catalog.learning import free_role, learning
from service.catalog.paddle_operations import LAYOUTS
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.paddle_program import Variable
from service.parsers.paddle_tensors import SIZES
from service.plain import text
from service.tree import Group, Location, Shape, Weight, element_count


class Told(NamedTuple):
    """What other files say of a parameter: its name in the code, whether it is trained, where its values lie."""

    name: str | None = None
    trainable: bool | None = None
    place: Location | None = None


def layout_of(what: str, role: str, slot: str, variable: Variable, settings: dict[str, Any]) -> str | None:
    """Axis order of a kernel, by the kind of the layer and, of a matrix product, its operand and transposition."""
    if role in ("kernel", "depthwise_kernel") and what in LAYOUTS:
        return LAYOUTS[what]
    if what == "linear" and role == "kernel" and variable.shape is not None and len(variable.shape) == 2:
        side = "y" if slot != "X" else "x"
        names = (f"trans_{side}", f"transpose_{side}", f"transpose_{side.upper()}")
        turned = any(settings.get(name) is True for name in names)
        return "out-in" if turned == (side == "y") else "in-out"
    if role not in ("kernel", "recurrent_kernel") or what not in ("lstm", "gru", "simple_rnn"):
        return None
    return "in-out" if slot == "Weight" else "out-in"  # of the operators of before version 2, and of `rnn`


def weight_of(
    variable: Variable, name: str, role: str, layout: str | None, group: Group | None, told: Told
) -> Weight:
    """A variable as a weight called `name`; of `group` where it is none of the model's own."""
    shape, count = variable.shape, element_count(variable.shape)
    recorded = told.trainable if told.trainable is not None else variable.trainable
    if role == "parameter" and recorded is None:
        role = free_role(variable.dtype, shape)
    own, trainable, source = learning(role, variable.dtype, recorded)
    size = SIZES.get(variable.dtype or "")
    return Weight(
        name=text(name), stored_as=text(variable.name), role=role, shape=shape, dtype=variable.dtype, count=count,
        bytes=None if size is None or count is None else size * count, layout=layout, group=group or own,
        trainable=False if group else trainable, trainable_source="rule" if group else source,
        location=told.place,
    )  # fmt: skip


def check_size(shape: Shape | None, limits: Limits) -> None:
    """LimitExceeded if a variable has more elements than any model."""
    if shape is not None and math.prod(size or 1 for size in shape) > limits.elements:
        raise LimitExceeded("elements", limits.elements, msg("One weight has more elements than any model."))
