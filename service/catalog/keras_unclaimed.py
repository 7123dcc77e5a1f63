"""What a Keras file stores that is no weight of its layers: arrays nobody claims, data that are no numbers, odd shapes.

Knows trees of datasets and what was read from them; must not know configurations or archives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from service.catalog.integrity import listed
from service.catalog.keras_states import beside
from service.catalog.keras_tree import OPTIMIZER
from service.catalog.mismatch import RULE, other_weights
from service.language import msg, msgn
from service.parsers.hdf5 import Dataset, Group
from service.plain import shortened, text
from service.tree import Finding, Layer, Shape, State, element_count

_MAX_NAMES = 12
"""Most arrays named in one sentence."""
_NO_NUMBERS = frozenset({"string", "variable", "compound", "reference", "enum", "time"})
_TIED = "/layer/vars/0"
"""The kernel inside a SpectralNormalization, which stores it a second time as its own first variable."""
_OPTIMIZERS = frozenset({OPTIMIZER, "optimizer_weights"})
_NORMALIZATIONS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm"})
_VECTORS = frozenset({"scale", "offset", "moving_mean", "moving_variance"})


def is_numeric(dataset: Dataset) -> bool:
    """Whether it is an array of numbers, or its header does not say."""
    is_null = dataset.shape is None and dataset.dtype is not None
    return dataset.dtype not in _NO_NUMBERS and not is_null


def numeric_only(root: Group) -> tuple[Group, tuple[Dataset, ...]]:
    """The tree without the datasets that are no arrays of numbers, and those."""
    others = tuple(one for one in _datasets(root) if not is_numeric(one))
    if not others:
        return root, ()
    return _pruned(root), others


def _pruned(root: Group) -> Group:
    top = Group(root.path, root.attributes, {})
    waiting = [(root, top)]
    while waiting:
        source, target = waiting.pop()
        for name, child in source.children.items():
            if isinstance(child, Group):
                entered = target.children[name] = Group(child.path, child.attributes, {})
                waiting.append((child, entered))
            elif is_numeric(child):
                target.children[name] = child
    return top


def _datasets(root: Group, skipped: frozenset[str] = frozenset()) -> Iterator[Dataset]:
    """All datasets below `root` in order of their names, apart from those in the children `skipped`."""
    waiting: list[Group | Dataset] = [child for name, child in root.children.items() if name not in skipped][::-1]
    while waiting:
        child = waiting.pop()
        if isinstance(child, Group):
            waiting.extend(reversed(child.children.values()))
        else:
            yield child


def claimed_by(*holders: Layer | State) -> set[str]:
    """The paths of the datasets that are a weight of these."""
    return {weight.stored_as for held in holders for weight in held.weights if weight.stored_as is not None}


def unclaimed_in(root: Group, claimed: Collection[str]) -> tuple[Dataset, ...]:
    """The arrays of numbers below `root`, the optimizer's left out, whose paths are not in `claimed`."""
    return tuple(
        one
        for one in _datasets(root, _OPTIMIZERS)
        if one.path not in claimed and is_numeric(one) and not one.path.endswith(_TIED)
    )


def unclaimed(datasets: Sequence[Dataset], member: str | None) -> tuple[tuple[State, ...], tuple[Finding, ...]]:
    """A state of arrays that no layer claims, and the finding that names them."""
    if not datasets:
        return (), ()
    what = msgn(
        "The file holds {n} array ({total} values) that belongs to no layer: {names}. It is counted apart.",
        "The file holds {n} arrays ({total} values) that belong to no layer: {names}. They are counted apart.",
        n=len(datasets),
        total=sum(element_count(one.shape) or 0 for one in datasets),
        names=shortened([text(one.path, 200) for one in datasets], _MAX_NAMES),
    )
    why = msg("They are what a layer that was removed left behind, or were put into the file beside the model.")
    return (beside("unclaimed", datasets, member),), (
        Finding(rule="variable_unclaimed", severity="medium", what=what, why=why),
    )


def wrong_type(datasets: Sequence[Dataset]) -> list[Finding]:
    """One finding for each dataset that stands in a place for weights and holds no numbers, bounded."""
    return listed("data_wrong_type", [_no_numbers(one) for one in datasets])


def _no_numbers(dataset: Dataset) -> Finding:
    name = text(dataset.path, 200)
    what = (
        msg("{name} holds no values at all, so it is no weight and is not counted.", name=name)
        if dataset.shape is None
        else msg("{name} holds {dtype} data, so it is no weight and is not counted.", name=name, dtype=dataset.dtype)
    )
    return Finding(rule="data_wrong_type", severity="high", path=text(dataset.path, 500), what=what)


def wrong_shapes(layers: Iterable[Layer]) -> list[Finding]:
    """One finding for each layer whose weights are not of the shapes that its class gives them, bounded.

    Looked at are vectors of a normalisation, which are all of one shape, and sizes that follow from the input's.
    """
    return listed(RULE, [other_weights(layer) for layer in layers if _is_odd(layer)])


def _is_odd(layer: Layer) -> bool:
    if layer.custom or layer.type_source != "recorded":
        return False
    if layer.type == "Dense":
        return _is_of_other_inputs(layer)
    if layer.kind not in _NORMALIZATIONS:
        return False
    shapes = {weight.shape for weight in layer.weights if weight.role in _VECTORS}
    axes = _axes(layer)
    if len(shapes) > 1 or any(shape is not None and len(shape) > max(1, len(axes)) for shape in shapes):
        return True
    return layer.kind == "batch_norm" and len(axes) == 1 and _differs(layer, list(shapes), axes[0])


def _is_of_other_inputs(layer: Layer) -> bool:
    """Whether a kernel is for more or fewer inputs than there are; one that its bias contradicts is found elsewhere."""
    held = {weight.role: weight.shape for weight in layer.weights}
    kernel, bias = held.get("kernel"), held.get("bias")
    if kernel is None or len(kernel) != 2 or (bias is not None and bias != kernel[1:]):
        return False
    return _differs(layer, [kernel], -1)


def _axes(layer: Layer) -> list[int]:
    """The axes that are normalised, as configured."""
    axis = layer.config.get("axis", -1)
    return [one for one in (axis if isinstance(axis, list | tuple) else [axis]) if type(one) is int]


def _differs(layer: Layer, shapes: Sequence[Shape | None], axis: int) -> bool:
    """Whether the first size of a shape is another than the layer's input has along `axis`, where both are known."""
    given = layer.input_shapes[0] if layer.input_shapes else ()
    size = given[axis] if -len(given) <= axis < len(given) else None
    return size is not None and any(shape and shape[0] not in (None, size) for shape in shapes)
