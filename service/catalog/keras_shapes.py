"""Input and output shapes of every layer of a configured model, without running anything.

Knows graphs and chains of `Spec`s; the rules of single layers are elsewhere. What the file recorded (Keras 3 notes
the shape of every tensor that is used) goes before what follows by rule; what neither tells stays unknown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from service.catalog.keras_classes import is_custom
from service.catalog.keras_config import Reference, Spec, as_shape
from service.catalog.keras_legacy import merge_class, modern
from service.catalog.keras_shape_math import ShapeUnknownError
from service.catalog.keras_shape_rules import RULES, Shapes
from service.catalog.keras_shape_wrappers import WRAPPERS, operation
from service.tree import Frozen, Shape

STEPS_PER_LAYER = 50
"""Nested models are worked out again per call; this bounds how often in a graph made to explode."""
MAX_SIZE = 2**63 - 1


class LayerShapes(Frozen, frozen=True, kw_only=True):
    """Shapes of a layer's first call; None where unknown."""

    inputs: tuple[Shape, ...] | None
    outputs: tuple[Shape, ...] | None


def infer_shapes(model: Spec) -> dict[str, LayerShapes]:
    """Shapes by `Spec.pointer`, for every layer of `model` and of the models nested in it."""
    inference = _Inference(STEPS_PER_LAYER * (1 + _count(model)))
    inference.model(model, None)
    return inference.found


def infer_layer(spec: Spec, shapes: Shapes) -> Shapes | None:
    """Output shapes of one layer called with `shapes`; None if they do not follow."""
    return _Inference(STEPS_PER_LAYER).layer(spec, shapes)


def _count(model: Spec) -> int:
    open_specs, total = [model], 0
    while open_specs:
        layers = open_specs.pop().layers or ()
        total += len(layers)
        open_specs.extend(layers)
    return total


class _Inference:
    """One run; `found` fills in the order layers are first reached."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self.found: dict[str, LayerShapes] = {}

    def model(self, spec: Spec, given: Shapes | None) -> Shapes | None:
        """Output shapes of a model for `given` input shapes, or for those it declares."""
        if spec.class_name == "Merge":
            return self._branches(spec)
        return self._chain(spec, given) if spec.sequential else self._graph(spec, given)

    def layer(self, spec: Spec, shapes: Shapes | None) -> Shapes | None:
        """Output shapes of one call; None if they do not follow."""
        self._steps -= 1
        if self._steps < 0:
            return None
        if spec.layers is not None:
            return self.model(spec, shapes)
        try:
            return _sane(self._apply(spec, shapes)) if shapes else None
        except (ShapeUnknownError, IndexError, ZeroDivisionError):
            return None

    def _apply(self, spec: Spec, shapes: Shapes) -> Shapes:
        if spec.operation:
            return operation(spec, shapes, self._inner)
        if is_custom(spec.class_name, spec.module):
            raise ShapeUnknownError
        if spec.class_name in WRAPPERS:
            return WRAPPERS[spec.class_name](spec, shapes, self._inner)
        rule = RULES.get(spec.class_name)
        if rule is None:
            raise ShapeUnknownError
        return rule(modern(spec.class_name, spec.config), shapes)

    def _inner(self, spec: Spec, shapes: Shapes) -> Shapes:
        result = self.layer(spec, shapes)
        if result is None:
            raise ShapeUnknownError
        return result

    def _note(self, spec: Spec, inputs: Shapes | None, outputs: Shapes | None) -> None:
        if spec.pointer not in self.found:
            self.found[spec.pointer] = LayerShapes(inputs=_batchless(inputs), outputs=_batchless(outputs))

    def _branches(self, spec: Spec) -> Shapes | None:
        """A Keras 1 `Merge`: its layers are models side by side."""
        results = [self.model(branch, None) if branch.layers else None for branch in spec.layers or ()]
        rule = RULES.get(merge_class(spec.config) or "")
        shapes = [result[0] for result in results if result]
        if rule is None or not shapes or len(shapes) != len(results):
            return None
        try:
            return rule(modern("Merge", spec.config), shapes)
        except (ShapeUnknownError, IndexError):
            return None

    def _chain(self, spec: Spec, given: Shapes | None) -> Shapes | None:
        current = given or _declared(spec)
        layers = spec.layers or ()
        for index, layer in enumerate(layers):
            inputs = current or _shapes(as_shape(layer.build_shape))
            if layer.class_name == "InputLayer":
                current = inputs = given or _declared_input(layer) or current
            else:
                current = self.layer(layer, inputs)
            if current is None and index + 1 < len(layers):
                current = _shapes(as_shape(layers[index + 1].build_shape))
            self._note(layer, inputs, current)
        return current

    def _graph(self, spec: Spec, given: Shapes | None) -> Shapes | None:
        known = _Tensors(spec, given)
        for layer, call in _in_order(spec, known):
            references = (layer.calls or ())[call]
            inputs = known.of(references)
            known.put(layer.name, call, self.layer(layer, inputs))
            if call == 0:
                self._note(layer, inputs, known.outputs(layer.name, 0))
        for layer in spec.layers or ():
            if not layer.calls:
                self._note(layer, None, known.outputs(layer.name, 0))
        return known.of(spec.outputs) if spec.outputs else None


class _Tensors:
    """The shapes of a functional model's tensors: recorded ones first, then what was worked out."""

    def __init__(self, spec: Spec, given: Shapes | None) -> None:
        self._calls = {layer.name: max(1, len(layer.calls or ())) for layer in spec.layers or ()}
        self._known: dict[tuple[str, int], Shapes] = {}
        self._recorded: dict[tuple[str, int], dict[int, Shape]] = defaultdict(dict)
        for layer in spec.layers or ():
            for reference in (found for call in layer.calls or () for found in call):
                if reference.shape is not None:
                    self._recorded[self.key(reference)][reference.tensor] = reference.shape
        self._fill_inputs(spec, given)

    def _fill_inputs(self, spec: Spec, given: Shapes | None) -> None:
        order = {name: index for index, name in enumerate(spec.inputs)}
        for layer in spec.layers or ():
            if layer.class_name == "InputLayer":
                index = order.get(layer.name)
                passed = given[index : index + 1] if given and index is not None else None
                shapes = passed or _declared_input(layer)
                if shapes:
                    self._known[layer.name, 0] = shapes
                if passed:
                    self._recorded.clear()  # recorded for the declared input, not for this one

    def key(self, reference: Reference) -> tuple[str, int]:
        """Layer and call of a tensor; Keras 2 counts calls of nested models from outside this graph."""
        return reference.layer, min(reference.node, self._calls.get(reference.layer, 1) - 1)

    def knows(self, name: str) -> bool:
        """Whether `name` is a layer of this graph."""
        return name in self._calls

    def put(self, name: str, call: int, shapes: Shapes | None) -> None:
        """Keep what a call gives."""
        if shapes is not None:
            self._known[name, call] = shapes

    def outputs(self, name: str, call: int) -> Shapes | None:
        """All outputs of a call, None if unknown."""
        recorded = self._recorded.get((name, call), {})
        known = self._known.get((name, call))
        if known is not None:
            return [recorded.get(index, shape) for index, shape in enumerate(known)]
        found = [recorded[index] for index in range(len(recorded)) if index in recorded]
        return found if found and len(found) == len(recorded) else None

    def of(self, references: tuple[Reference, ...]) -> Shapes | None:
        """The shapes of `references`, None unless all are known."""
        shapes: Shapes = []
        for reference in references:
            key = self.key(reference)
            recorded = self._recorded.get(key, {}).get(reference.tensor, reference.shape)
            outputs = self._known.get(key, [])
            if recorded is None and reference.tensor < len(outputs):
                recorded = outputs[reference.tensor]
            if recorded is None:
                return None
            shapes.append(recorded)
        return shapes


def _in_order(spec: Spec, tensors: _Tensors) -> Iterator[tuple[Spec, int]]:
    """Every call once, after the calls that feed it; what hangs in a circle comes last."""
    layers = {layer.name: layer for layer in spec.layers or ()}
    waiting: dict[tuple[str, int], int] = {}
    feeds: dict[tuple[str, int], list[tuple[str, int]]] = defaultdict(list)
    for layer in layers.values():
        for call, references in enumerate(layer.calls or ()):
            sources = {tensors.key(found) for found in references if tensors.knows(found.layer)}
            sources = {source for source in sources if layers[source[0]].calls}
            waiting[layer.name, call] = len(sources)
            for source in sources:
                feeds[source].append((layer.name, call))
    ready = [key for key, count in waiting.items() if count == 0]
    for key in ready:  # grows while it is walked
        yield layers[key[0]], key[1]
        for following in feeds[key]:
            waiting[following] -= 1
            if waiting[following] == 0:
                ready.append(following)
    done = set(ready)
    for key in waiting:
        if key not in done:
            yield layers[key[0]], key[1]


def _declared(spec: Spec) -> Shapes | None:
    """What a Sequential model says it takes."""
    first = (spec.layers or (None,))[0]
    for shape in (spec.config.get("build_input_shape"), spec.build_shape):
        if (found := _shapes(as_shape(shape))) is not None:
            return found
    return _declared_input(first) if first is not None else None


def _declared_input(layer: Spec) -> Shapes | None:
    """Input shape that a layer's own configuration gives, in the words of any version."""
    config = layer.config
    for key in ("batch_shape", "batch_input_shape"):
        if (found := _shapes(as_shape(config.get(key)))) is not None:
            return found
    features = config.get("input_dim")
    length = config.get("input_length")
    if type(features) is not int or features < 1:
        return None
    if layer.class_name == "Embedding":
        return [(None, length if type(length) is int else None)]
    return [(None, length, features)] if type(length) is int else [(None, features)]


def _shapes(shape: Shape | None) -> Shapes | None:
    return None if shape is None else [shape]


def _sane(shapes: Shapes) -> Shapes | None:
    """None if a size grew beyond what any array has."""
    return None if any(size is not None and size > MAX_SIZE for shape in shapes for size in shape) else shapes


def _batchless(shapes: Shapes | None) -> tuple[Shape, ...] | None:
    """With the batch axis not fixed, as everywhere in a report."""
    return None if shapes is None else tuple((None, *shape[1:]) if shape else () for shape in shapes)
