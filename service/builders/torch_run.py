"""Makes and runs a layer list on the meta device: shapes in, shapes out, twice, so that open axes can be told.

Knows plans, modules and shapes; must not know the report. The batch axis has no size, but a run needs one: two runs
with different sizes differ exactly where a shape depends on it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import torch
from torch import nn
from torch.utils import _pytree as pytree

from service.builders.common import check_shape, clean, invalid, refused, shape_text
from service.builders.common_list import InputPlan, LayerPlan, ListPlan, Source
from service.builders.torch_allowed import INTEGER_INPUT, RANKS, SELF_ATTENTION
from service.builders.torch_functions import FUNCTIONS
from service.builders.torch_make import function_arguments, make
from service.config import Limits
from service.errors import LimitExceeded
from service.language import Message, msg, msgn
from service.tree import Shape

BATCHES = (2, 3)
OPEN_SIZES = (256, 320)
"""What stands for the batch axis and for open axes in the two runs; multiples of 64 survive most strides."""

Pair = tuple[torch.Tensor, torch.Tensor]
"""One tensor in both runs."""
_DTYPES = {
    name: getattr(torch, name)
    for name in ("float16", "bfloat16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")
}


class Done(msgspec.Struct, kw_only=True):
    """What is known of one layer after the run.

    Attributes:
        item: Its plan.
        module: The module; None for functions and for a Sequential.
        inputs, outputs: Shapes; None where they could not be told.
        inner: Shapes of the modules inside `module` by their dotted path, as far as they were called.
        children: The layers of a Sequential.
        notes: Sentences on what could not be told.
    """

    item: LayerPlan
    module: nn.Module | None = None
    inputs: tuple[Shape, ...] | None = None
    outputs: tuple[Shape, ...] | None = None
    inner: dict[str, tuple[tuple[Shape, ...], tuple[Shape, ...]]] = {}
    children: list[Done] = []
    notes: tuple[Message, ...] = ()


class Runner:
    """Runs the layers of one list; holds the tensors that they return."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tensors: dict[str, list[Pair]] = {}
        self._modules = 0

    def run(self, plan: ListPlan) -> list[Done]:
        """All layers in order. InvalidSpec names the layer that cannot take its input."""
        for entry in plan.inputs:
            self._tensors[entry.name] = [self._input(entry, _input_dtype(entry, plan))]
        done = []
        with torch.no_grad():
            for item in plan.layers:
                sources = (*item.inputs, *item.named_inputs.values())
                given = [self._tensor(source, item.label, f"{item.pointer}.inputs") for source in sources]
                names = tuple(item.named_inputs)
                found, self._tensors[item.name] = self._layer(item, given, names)
                done.append(found)
        for index, source in enumerate(plan.outputs):
            self._tensor(source, f"outputs[{index}]", f"outputs[{index}]")
        return done

    def _input(self, entry: InputPlan, dtype: torch.dtype) -> Pair:
        check_shape(entry.shape, self._limits, entry.pointer, entry.pointer)
        try:
            first, second = (
                torch.empty((batch, *(size or free for size in entry.shape)), dtype=dtype, device="meta")
                for batch, free in zip(BATCHES, OPEN_SIZES, strict=True)
            )
        except RuntimeError as error:
            raise invalid(
                entry.pointer,
                msg("{place}: too large for PyTorch: {reason}", place=entry.pointer, reason=clean(str(error))),
            ) from None
        return first, second

    def _tensor(self, source: Source, label: str, pointer: str) -> Pair | None:
        """The tensor that a layer names; None if it is not known."""
        found = self._tensors.get(source.name, [])
        if found and source.output >= len(found):
            detail = msgn(
                '{label}: "{name}" has {n} output only.',
                '{label}: "{name}" has {n} outputs only.',
                n=len(found),
                label=label,
                name=source.name,
            )
            raise invalid(pointer, detail)
        return found[source.output] if found else None

    def _layer(self, item: LayerPlan, given: list[Pair | None], names: tuple[str, ...]) -> tuple[Done, list[Pair]]:
        if item.children is not None:
            return self._sequential(item, given)
        known = [pair for pair in given if pair is not None]
        _check_rank(item, known)
        module = None
        if item.type not in FUNCTIONS:
            module = make(item, [pair[0] if pair is not None else None for pair in given])
            self._count(module, item)
        done = Done(item=item, module=module)
        if len(known) < len(given):
            done.notes = (msg("Its shapes are not known, because those of its input are not."),)
            return done, []
        done.inputs = tuple(_shape(pair) for pair in known)
        outputs = self._call(done, known, names)
        done.outputs = tuple(_shape(pair) for pair in outputs) or None
        for shape in done.outputs or ():
            check_shape(shape, self._limits, item.label, item.pointer)
        return done, outputs

    def _count(self, module: nn.Module, item: LayerPlan) -> None:
        self._modules += sum(1 for _ in module.modules())
        if self._modules > self._limits.layers:
            detail = msg(
                "{label}: here the model has more than {most} modules.", label=item.label, most=self._limits.layers
            )
            raise LimitExceeded("layers", self._limits.layers, detail, pointer=item.pointer)

    def _sequential(self, item: LayerPlan, given: list[Pair | None]) -> tuple[Done, list[Pair]]:
        done = Done(item=item, inputs=tuple(_shape(pair) for pair in given if pair is not None) or None, children=[])
        outputs = [pair for pair in given if pair is not None]
        for inner in item.children or ():
            fed: list[Pair | None] = [outputs[0]] if outputs else [None]
            found, outputs = self._layer(inner, fed, ())
            done.children.append(found)
            if item.arguments.get("requires_grad") is False:
                _freeze(found)
        done.outputs = tuple(_shape(pair) for pair in outputs) or None
        return done, outputs

    def _call(self, done: Done, known: list[Pair], names: tuple[str, ...]) -> list[Pair]:
        """Outputs in both runs; [] where the module cannot run without values."""
        item = done.item
        seen: list[dict[str, Any]] = [{}, {}]
        runs = []
        for number in (0, 1):
            tensors = [pair[number] for pair in known]
            try:
                runs.append(_outputs(done, tensors, names, seen[number]))
            except NotImplementedError:
                done.notes = (msg("PyTorch cannot tell its output shape without values."),)
                return []
            except Exception as error:  # noqa: BLE001 - modules raise what they like at shapes they cannot take
                raise _refused(item, known, error) from None
        done.inner = {path: _both(seen[0][path], seen[1][path]) for path in seen[0] if path in seen[1]}
        return list(zip(*runs, strict=True))


def _outputs(
    done: Done, tensors: list[torch.Tensor], names: tuple[str, ...], seen: dict[str, Any]
) -> list[torch.Tensor]:
    """Every tensor that one run of the layer returns."""
    item = done.item
    if done.module is None:
        function = FUNCTIONS[item.type]
        if len(tensors) < function.least:
            raise ValueError(f"it takes {function.least} inputs or more, and has {len(tensors)}")
        return [function.call(tensors, **function_arguments(item))]
    hooks = [inner.register_forward_hook(_noting(path, seen)) for path, inner in done.module.named_modules() if path]
    plain, named = (
        tensors[: len(tensors) - len(names)],
        dict(zip(names, tensors[len(tensors) - len(names) :], strict=True)),
    )
    if item.type in SELF_ATTENTION and len(plain) == 1 and not named:
        plain = plain * SELF_ATTENTION[item.type]
    steps, plain = _one_step(done.module, plain)
    returned = _narrow(done.module)(*plain, **named)
    for hook in hooks:
        hook.remove()
    found = [leaf for leaf in pytree.tree_leaves(returned) if isinstance(leaf, torch.Tensor)]
    if isinstance(done.module, nn.Bilinear):
        return [_stretched(found[0], -1, done.module.out_features)]
    return found if steps is None else [_stretched(found[0], *steps), *found[1:]]


def _one_step(module: nn.Module, tensors: list[torch.Tensor]) -> tuple[tuple[int, int] | None, list[torch.Tensor]]:
    """A recurrent module's input cut to one step in time, with (axis, steps): every step would cost an inference."""
    if not isinstance(module, nn.RNNBase) or tensors[0].dim() != 3:
        return None, tensors
    axis = 1 if module.batch_first else 0
    return (axis, tensors[0].shape[axis]), [tensors[0].narrow(axis, 0, 1), *tensors[1:]]


def _narrow(module: nn.Module) -> nn.Module:
    """The module to call: a Bilinear with one output in place of many, because PyTorch infers them one by one."""
    if not isinstance(module, nn.Bilinear):
        return module
    return nn.Bilinear(module.in1_features, module.in2_features, 1, device="meta", dtype=module.weight.dtype)


def _stretched(output: torch.Tensor, axis: int, size: int) -> torch.Tensor:
    """`output` with another size along one axis."""
    sizes = list(output.shape)
    sizes[axis] = size
    return output.new_empty(sizes)


def _noting(path: str, seen: dict[str, Any]) -> Any:
    """A hook that notes the shapes of a module's first call."""

    def note(_module: nn.Module, inputs: Any, outputs: Any) -> None:
        seen.setdefault(path, (_sizes(inputs), _sizes(outputs)))

    return note


def _sizes(value: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _both(first: Any, second: Any) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    inputs, outputs = (
        tuple(_merged(one, other) for one, other in zip(ones, others, strict=True))
        for ones, others in zip(first, second, strict=True)
    )
    return inputs, outputs


def _shape(pair: Pair) -> Shape:
    return _merged(tuple(pair[0].shape), tuple(pair[1].shape))


def _merged(first: tuple[int, ...], second: tuple[int, ...]) -> Shape:
    """Sizes that both runs share; None where they differ."""
    if len(first) != len(second):
        return (None,) * len(first)
    return tuple(one if one == other else None for one, other in zip(first, second, strict=True))


def _freeze(done: Done) -> None:
    if done.module is not None:
        done.module.requires_grad_(requires_grad=False)
    for inner in done.children:
        _freeze(inner)


def _input_dtype(entry: InputPlan, plan: ListPlan) -> torch.dtype:
    """As the spec says; else indices for what feeds an embedding, and numbers for the rest."""
    if entry.dtype is not None:
        if entry.dtype not in _DTYPES:
            raise invalid(
                entry.pointer,
                msg("{place}: the dtype must be one of {choice}.", place=entry.pointer, choice=", ".join(_DTYPES)),
            )
        return _DTYPES[entry.dtype]
    for item in plan.layers:
        first = item
        while first.children:
            first = first.children[0]
        if first.type in INTEGER_INPUT and Source(entry.name) in item.inputs:
            return torch.int64
    return torch.float32


def _check_rank(item: LayerPlan, known: list[Pair]) -> None:
    ranks = RANKS.get(item.type)
    if ranks is None or not known or known[0][0].dim() in ranks:
        return
    raise invalid(
        item.pointer,
        msg(
            "{label} takes inputs of {wanted} axes with the batch axis, not of shape {shape}.",
            label=item.label,
            wanted=" / ".join(str(rank) for rank in ranks),
            shape=shape_text(_shape(known[0])),
        ),
    )


def _refused(item: LayerPlan, known: list[Pair], error: Exception) -> Exception:
    """What PyTorch says of shapes it cannot take, as an error of the spec."""
    shapes = [shape_text(_shape(pair)) for pair in known]
    text = str(error)
    if isinstance(error, OverflowError) or "overflow" in text.lower():
        return LimitExceeded(
            "elements",
            2**63 - 1,
            msg("{label}: its output is too large for PyTorch to describe.", label=item.label),
            pointer=item.pointer,
        )
    return invalid(item.pointer, refused(item.label, shapes, text))
