"""Reads a layer-list spec into a plan: inputs, layers, who feeds whom. Grammar in docs/spec.md.

Knows names, shapes and edges; must not know any layer class or framework. Layers may only use earlier ones, so
the list is its own topological order and a cycle cannot be written down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from service.builders.common import Problems
from service.config import Limits
from service.language import msg
from service.parsers.suggest import did_you_mean
from service.tree import Shape

MAX_RANK = 32
"""Axes of one input; frameworks themselves end at 64."""
MAX_NAME = 200
RESERVED = ("type", "name", "inputs")
_TOP = ("framework", "name", "input_shape", "inputs", "input_dtype", "layers", "outputs", "description", "$schema")

Naming = Callable[[str, int, set[str]], str]
"""Default name of a layer: its type, its index in the list, the names already taken."""


class Source(msgspec.Struct, frozen=True):
    """One tensor: the output number `output` of the layer or input `name`."""

    name: str
    output: int = 0


class InputPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One input of the model; `shape` without the batch axis."""

    name: str
    shape: Shape
    dtype: str | None
    pointer: str


class LayerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the list.

    Attributes:
        pointer: `layers[3]`, for errors.
        arguments: What the framework's constructor gets, as written.
        inputs: Its tensors by position.
        named_inputs: Its tensors by the name of the call's argument.
        children: The layers of a nested Sequential, else None.
    """

    pointer: str
    type: str
    name: str
    arguments: dict[str, Any]
    inputs: tuple[Source, ...] = ()
    named_inputs: dict[str, Source] = {}
    children: tuple[LayerPlan, ...] | None = None

    @property
    def label(self) -> str:
        """`layers[3] (Conv2D)`: how an error names it."""
        return f"{self.pointer} ({self.type})"


class ListPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole spec. `graph` is False for a plain chain from a single input."""

    name: str | None
    inputs: tuple[InputPlan, ...]
    layers: tuple[LayerPlan, ...]
    outputs: tuple[Source, ...]
    graph: bool


def parse(spec: Mapping[str, Any], naming: Naming, limits: Limits, problems: Problems) -> ListPlan:
    """The plan of `spec`; what is wrong goes to `problems` and is left out of the plan."""
    for key in spec:
        if key not in _TOP:
            problems.add(key[:100], msg("{key} is not a key of a layer list.", key=key[:100]), did_you_mean(key, _TOP))
    name = _text(spec.get("name"), "name", problems)
    inputs = _inputs(spec, limits, problems)
    known = {item.name for item in inputs}
    given = spec.get("layers")
    if not isinstance(given, list) or not given:
        problems.add("layers", msg("layers must be a list of at least one layer."))
        given = []
    reader = _Reader(naming, problems, known)
    layers = reader.chain(given, "layers", inputs)
    graph = len(inputs) > 1 or "outputs" in spec or any(isinstance(item, dict) and "inputs" in item for item in given)
    outputs = _outputs(spec.get("outputs"), layers, known, problems)
    return ListPlan(name=name, inputs=inputs, layers=layers, outputs=outputs, graph=graph)


class _Reader:
    """Reads layers one after the other; holds the names seen so far."""

    def __init__(self, naming: Naming, problems: Problems, known: set[str]) -> None:
        self.naming = naming
        self.problems = problems
        self.known = known

    def chain(self, items: list[Any], pointer: str, inputs: tuple[InputPlan, ...]) -> tuple[LayerPlan, ...]:
        """The layers of one list; each is fed by the one before it unless it says otherwise."""
        layers: list[LayerPlan] = []
        later = {item["name"] for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)}
        before = Source(inputs[0].name) if len(inputs) == 1 else None
        for index, item in enumerate(items):
            layer = self._layer(item, index, f"{pointer}[{index}]", before, later)
            if layer is not None:
                layers.append(layer)
                self.known.add(layer.name)
                before = Source(layer.name)
        return tuple(layers)

    def _layer(self, item: Any, index: int, pointer: str, before: Source | None, later: set[str]) -> LayerPlan | None:
        if not isinstance(item, dict):
            self.problems.add(
                pointer, msg("{place} must be an object such as {example}.", place=pointer, example='{"type": "..."}')
            )
            return None
        kind = item.get("type")
        if not isinstance(kind, str) or not kind:
            self.problems.add(
                f"{pointer}.type", msg("{place}: type is required, the name of a layer class.", place=pointer)
            )
            return None
        kind = kind[:MAX_NAME]
        name = self._name(item, kind, index, pointer)
        sources, named = self._sources(item, before, f"{pointer} ({kind})", pointer, later)
        arguments = {key: value for key, value in item.items() if key not in RESERVED}
        children = self._children(arguments, pointer) if kind == "Sequential" else None
        return LayerPlan(
            pointer=pointer,
            type=kind,
            name=name,
            arguments=arguments,
            inputs=sources,
            named_inputs=named,
            children=children,
        )

    def _name(self, item: dict[str, Any], kind: str, index: int, pointer: str) -> str:
        name = _text(item.get("name"), f"{pointer}.name", self.problems)
        if name is None:
            return self.naming(kind, index, self.known)
        if name in self.known:
            self.problems.add(
                f"{pointer}.name",
                msg('{label}: the name "{name}" is already taken.', label=f"{pointer} ({kind})", name=name),
            )
        return name

    def _children(self, arguments: dict[str, Any], pointer: str) -> tuple[LayerPlan, ...]:
        items = arguments.pop("layers", None)
        if not isinstance(items, list) or not items:
            self.problems.add(
                f"{pointer}.layers", msg("{label}: layers must be a list of layers.", label=f"{pointer} (Sequential)")
            )
            return ()
        for index, item in enumerate(items):
            if isinstance(item, dict) and "inputs" in item:
                place = f"{pointer}.layers[{index}]"
                self.problems.add(
                    f"{place}.inputs", msg("{place}: inputs cannot be given inside a Sequential.", place=place)
                )
                return ()
        inner = _Reader(self.naming, self.problems, set())
        entry = InputPlan(name="", shape=(), dtype=None, pointer=pointer)
        return inner.chain(items, f"{pointer}.layers", (entry,))

    def _sources(
        self, item: dict[str, Any], before: Source | None, label: str, pointer: str, later: set[str]
    ) -> tuple[tuple[Source, ...], dict[str, Source]]:
        given = item.get("inputs")
        where = f"{pointer}.inputs"
        if given is None:
            if before is None:
                self.problems.add(
                    where, msg("{label}: inputs is required, because the model has several inputs.", label=label)
                )
                return (), {}
            return (before,), {}
        if isinstance(given, dict):
            found = {key: self._source(text, label, f"{where}.{key}", later) for key, text in given.items()}
            return (), {key: source for key, source in found.items() if source}
        texts = given if isinstance(given, list) else [given]
        if not texts:
            self.problems.add(where, msg("{label}: inputs must name at least one layer.", label=label))
        listed = (self._source(text, label, f"{where}[{number}]", later) for number, text in enumerate(texts))
        return tuple(source for source in listed if source), {}

    def _source(self, text: Any, label: str, where: str, later: set[str]) -> Source | None:
        source = parse_source(text, self.known)
        if source is not None:
            return source
        if not isinstance(text, str):
            self.problems.add(where, msg("{label}: inputs must be names of earlier layers.", label=label))
        elif text in later:
            said = msg(
                '{label}: "{name}" is not an earlier layer; layers use only earlier ones.', label=label, name=text[:100]
            )
            self.problems.add(where, said)
        else:
            said = msg('{label}: there is no earlier layer "{name}".', label=label, name=text[:100])
            self.problems.add(where, said, did_you_mean(text, self.known))
        return None


def parse_source(text: Any, known: set[str]) -> Source | None:
    """`name`, or `name:2` for the third output of a layer that has several; None if there is no such layer."""
    if not isinstance(text, str):
        return None
    if text in known:
        return Source(text)
    name, colon, number = text.rpartition(":")
    if colon and name in known and number.isascii() and number.isdigit() and len(number) < 4:
        return Source(name, int(number))
    return None


def _outputs(given: Any, layers: tuple[LayerPlan, ...], known: set[str], problems: Problems) -> tuple[Source, ...]:
    if given is None:
        return (Source(layers[-1].name),) if layers else ()
    texts = given if isinstance(given, list) else [given]
    found = []
    for index, text in enumerate(texts):
        source = parse_source(text, known)
        if source is None:
            near = did_you_mean(text, known) if isinstance(text, str) else None
            place = f"outputs[{index}]"
            problems.add(place, msg("{place} must be the name of a layer.", place=place), near)
        else:
            found.append(source)
    return tuple(found)


def _inputs(spec: Mapping[str, Any], limits: Limits, problems: Problems) -> tuple[InputPlan, ...]:
    dtype = _text(spec.get("input_dtype"), "input_dtype", problems)
    if ("inputs" in spec) == ("input_shape" in spec):
        problems.add("input_shape", msg("Give either input_shape (without the batch axis) or inputs."))
        return (InputPlan(name="input", shape=(), dtype=dtype, pointer="input_shape"),)
    if "input_shape" in spec:
        return _from_shape(spec["input_shape"], dtype, limits, problems)
    given = spec["inputs"]
    if not isinstance(given, dict) or not given:
        example = '{"image": [28, 28, 1]}'
        problems.add("inputs", msg("inputs must be an object of names and shapes, such as {example}.", example=example))
        return ()
    return tuple(_named_input(name, value, dtype, limits, problems) for name, value in given.items())


def _from_shape(given: Any, dtype: str | None, limits: Limits, problems: Problems) -> tuple[InputPlan, ...]:
    if isinstance(given, list) and given and all(isinstance(item, list) for item in given):
        return tuple(
            InputPlan(
                name=f"input_{index + 1}",
                shape=_shape(item, f"input_shape[{index}]", limits, problems),
                dtype=dtype,
                pointer=f"input_shape[{index}]",
            )
            for index, item in enumerate(given)
        )
    shape = _shape(given, "input_shape", limits, problems)
    return (InputPlan(name="input", shape=shape, dtype=dtype, pointer="input_shape"),)


def _named_input(name: str, value: Any, dtype: str | None, limits: Limits, problems: Problems) -> InputPlan:
    pointer = f"inputs.{name[:100]}"
    if isinstance(value, dict):
        for key in value.keys() - {"shape", "dtype"}:
            said = msg("{place} has only shape and dtype, not {key}.", place=pointer, key=key[:100])
            problems.add(f"{pointer}.{key[:100]}", said)
        dtype = _text(value.get("dtype"), f"{pointer}.dtype", problems) or dtype
        value, pointer = value.get("shape"), f"{pointer}.shape"
    return InputPlan(name=name, shape=_shape(value, pointer, limits, problems), dtype=dtype, pointer=pointer)


def _shape(given: Any, pointer: str, limits: Limits, problems: Problems) -> Shape:
    if not isinstance(given, list) or len(given) > MAX_RANK:
        problems.add(
            pointer, msg("{place} must be a list of sizes without the batch axis, such as [28, 28, 1].", place=pointer)
        )
        return ()
    for index, size in enumerate(given):
        if size is not None and (
            isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= limits.dimension
        ):
            place = f"{pointer}[{index}]"
            problems.add(place, msg("{place} must be a whole number from 1 to 2^63 - 1, or null if open.", place=place))
            return ()
    return tuple(given)


def _text(value: Any, pointer: str, problems: Problems) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value or len(value) > MAX_NAME or not value.isprintable():
        problems.add(
            pointer, msg("{place} must be a text of 1 to {most} printable characters.", place=pointer, most=MAX_NAME)
        )
        return None
    return value
