"""Makes and runs a plan symbolically: calls each layer in topological order and notes shapes; nothing computes.

Knows plans and Keras layers; must not know how the plan was spelled. No recursion over the graph: only models inside
models recurse, and their depth is bounded by the depth of the JSON they came in.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras
import msgspec
from keras.src import ops as keras_ops  # classes of operations have no public name

from service.builders import keras_tfops
from service.builders.common import Problems, check_shape, clean, invalid, refused, shape_text
from service.builders.keras_env import Env, Tensor, from_build_shape, order, shapes, symbolic
from service.builders.keras_make import Child, Maker, safe_name
from service.builders.keras_plan import Call, LayerSpec, ModelSpec, refs
from service.config import Limits
from service.errors import InputError, InvalidSpec
from service.language import Message, msg
from service.tree import Shape


class Done(msgspec.Struct, kw_only=True):
    """What is known of one layer after the run.

    Attributes:
        spec: Its plan, with the notes that making it gave.
        layer: The Keras object; None for what is only named and for nested models.
        inputs, outputs: Shapes of its first call; None where one is not known.
        feeders: Names of the sibling layers that feed it, over all calls.
        uses: How often it is called.
        model: The run of a nested model.
        notes: Sentences on what is not known and why.
    """

    spec: LayerSpec
    layer: Any = None
    inputs: tuple[Shape, ...] | None = None
    outputs: tuple[Shape, ...] | None = None
    feeders: tuple[str, ...] = ()
    uses: int = 0
    model: Ran | None = None
    notes: tuple[Message, ...] = ()


class Ran(msgspec.Struct, kw_only=True):
    """A model after its run: its layers in listing order, and its tensors."""

    spec: ModelSpec
    layers: list[Done]
    env: Any


class Runner:
    """Makes and runs the models of one spec; holds the layers made, by where they stand in it."""

    def __init__(self, child: Child, limits: Limits, *, strict: bool) -> None:
        self.limits = limits
        self.problems = Problems()
        self.maker = Maker(child, self.as_model, self.problems, strict=strict)
        self._made: dict[str, Any] = {}
        self._shared: dict[int, Any] = {}

    def make(self, model: ModelSpec) -> None:
        """Make all layers of `model` and of the models in it; `problems` collects what is wrong."""
        waiting = [model]
        while waiting:
            for spec in waiting.pop().layers:
                if spec.model is not None:
                    waiting.append(spec.model)
                elif spec.form in ("layer", "operation") or (spec.form == "input" and spec.arguments):
                    self._made[spec.pointer] = self._make(spec)

    def run(self, model: ModelSpec, feeds: list[Tensor] | None = None) -> Ran:
        """The run of a made model; from its own inputs, or from `feeds` in the order of its inputs."""
        env = Env(model)
        done = {spec.name: self._start(spec) for spec in model.layers}
        self._enter(model, feeds, env, done)
        for spec, number in order(model):
            item, call = done[spec.name], spec.calls[number]
            given = refs((call.args, call.kwargs))
            item.feeders = tuple(dict.fromkeys((*item.feeders, *(ref.layer for ref in given))))
            tensors = [env.tensor(ref) for ref in given]
            outputs = self._call(item, call, env, tensors)
            env.put(spec.name, number, outputs)
            if number == 0:
                item.inputs, item.outputs = shapes(tensors), shapes(outputs or env.recorded(spec.name))
        for ref in refs(model.outputs):
            env.tensor(ref)  # says so where there is no such output
        return Ran(spec=model, layers=list(done.values()), env=env)

    def as_model(self, model: ModelSpec) -> Any | None:
        """A real Keras model for a wrapper to hold; None if a layer of it is wrong (then `problems` says so).

        A Sequential stays unbuilt until the wrapper gives it a shape.
        """
        before = len(self.problems.found)
        self.make(model)
        if len(self.problems.found) > before:
            return None
        name = safe_name(model.name or "model")
        if model.layers and model.layers[0].hidden:
            return keras.Sequential([self._held(spec) for spec in model.layers[1:]], name=name)
        env = self.run(model).env
        inputs, outputs = env.resolve(model.inputs, {}), env.resolve(model.outputs, {})
        if any(tensor is None for tensor in keras.tree.flatten([inputs, outputs])):
            raise invalid(
                model.pointer, msg("{place}: the shapes inside this model cannot be told.", place=model.pointer)
            )
        return keras.Model(inputs, outputs, name=name)

    def _held(self, spec: LayerSpec) -> Any:
        """A layer of a Sequential that a wrapper holds."""
        if spec.model is not None:
            return self.as_model(spec.model)
        if spec.form != "layer":
            raise invalid(spec.pointer, msg("{label} cannot be built inside a wrapper.", label=spec.label), *spec.notes)
        return self._made[spec.pointer]

    def _make(self, spec: LayerSpec) -> Any:
        try:
            if spec.form == "operation":
                return _operation(spec)
            if spec.shared_id is None:
                return self.maker.layer(spec)
            if spec.shared_id not in self._shared:
                self._shared[spec.shared_id] = self.maker.layer(spec)
            return self._shared[spec.shared_id]
        except InvalidSpec as error:
            self.problems.add_from(error)
            return None

    def _start(self, spec: LayerSpec) -> Done:
        return Done(
            spec=spec,
            layer=self._made.get(spec.pointer),
            uses=1 if spec.form == "input" else len(spec.calls),
            notes=(*spec.notes, *self.maker.notes.get(spec.pointer, ())),
        )

    def _enter(self, model: ModelSpec, feeds: list[Tensor] | None, env: Env, done: dict[str, Done]) -> None:
        """Put the model's inputs in place."""
        fed = dict(zip((ref.layer for ref in refs(model.inputs)), feeds or (), strict=False))
        for item in done.values():
            if item.spec.form != "input":
                continue
            own = item.layer.output if item.layer is not None else None
            tensor = fed.get(item.spec.name, own)
            if tensor is not None:
                check_shape(tensor.shape, self.limits, item.spec.label, item.spec.pointer)
            item.inputs = item.outputs = shapes([tensor])
            env.put(item.spec.name, 0, [tensor])

    def _call(self, item: Done, call: Call, env: Env, tensors: list[Tensor]) -> list[Tensor]:
        """Outputs of one call, None for those that cannot be told; [] if none can."""
        if item.spec.model is not None:
            return self._call_model(item, item.spec.model, tensors)
        if item.layer is None:
            return [] if item.spec.output_shape is None else [symbolic(item.spec.output_shape)]
        replaced = {}
        if any(tensor is None for tensor in tensors):
            replaced = from_build_shape(item.spec, call)
            if not replaced:
                _note_unknown(item, env.model)
                return []
        args, kwargs = env.resolve(call.args, replaced), env.resolve(call.kwargs, replaced)
        outputs = self._attempt(item, args, kwargs, tensors)
        flat = [tensor if hasattr(tensor, "shape") else None for tensor in keras.tree.flatten(outputs)]
        for tensor in flat:
            if tensor is not None:
                check_shape(tensor.shape, self.limits, item.spec.label, item.spec.pointer)
        return flat

    def _attempt(self, item: Done, args: list[Any], kwargs: dict[str, Any], tensors: list[Tensor]) -> Any:
        spec = item.spec
        try:
            if spec.form == "operation":
                args = [_index(arg) for arg in args]
            return item.layer(*args, **_accepted(item.layer, kwargs))
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - layers of the framework raise what they like at shapes they cannot take
            given = [shape_text(tensor.shape) for tensor in tensors if tensor is not None]
            raise invalid(spec.pointer, refused(spec.label, given, str(error))) from None

    def _call_model(self, item: Done, model: ModelSpec, tensors: list[Tensor]) -> list[Tensor]:
        """A nested model's outputs: as it was defined if the shapes are those, else run again with these."""
        known = all(tensor is not None for tensor in tensors)
        if item.model is None:
            item.model = self.run(model)
            if _open(item.model) and known:
                item.model = self.run(model, tensors)
        ran = item.model
        own = [ran.env.tensor(ref) for ref in refs(model.inputs)]
        if known and shapes(own) != shapes(tensors):
            ran = self.run(model, tensors)
        outputs = [ran.env.tensor(ref) for ref in refs(model.outputs)]
        return [None if tensor is None else symbolic(tensor.shape, tensor.dtype) for tensor in outputs]


def _open(ran: Ran) -> bool:
    """Whether a model has an input whose shape only its first call tells."""
    return any(ran.env.tensor(ref) is None for ref in refs(ran.spec.inputs))


def _note_unknown(item: Done, model: ModelSpec) -> None:
    hidden = {spec.name for spec in model.layers if spec.hidden}
    feeders = [msg("the model's input") if name in hidden else repr(name[:60]) for name in item.feeders]
    item.notes = (*item.notes, msg("Not built: the shape that comes from {feeders} is not known.", feeders=feeders))


class TensorFlowOperation(msgspec.Struct, frozen=True):
    """An operation of Keras 2's graph as something to call."""

    function: str

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The tensors it returns, in terms of `keras.ops`."""
        return keras_tfops.call(keras.ops, self.function, list(args), kwargs)

    __call__ = call


def _operation(spec: LayerSpec) -> Any:
    """An operation of Keras' own graph; InvalidSpec if the name is none of its module's operation classes."""
    if spec.type in keras_tfops.CLASSES:
        return TensorFlowOperation(spec.arguments["function"])
    module = getattr(keras_ops, spec.builds_as)
    kind = getattr(module, spec.type, None)
    if not isinstance(kind, type) or not issubclass(kind, keras.Operation) or kind.__module__ != module.__name__:
        raise invalid(
            spec.pointer, msg("{label}: there is no operation {type} in keras.ops.", label=spec.label, type=spec.type)
        )
    known = inspect.signature(kind).parameters
    arguments = {key: value for key, value in spec.arguments.items() if key in known and not isinstance(value, dict)}
    if "name" in known:
        arguments["name"] = safe_name(spec.name)
    try:
        return kind(**arguments)
    except Exception as error:  # noqa: BLE001 - constructors of the framework raise what they like at odd arguments
        raise invalid(spec.pointer, msg("{label}: {reason}", label=spec.label, reason=clean(str(error)))) from None


def _index(value: Any) -> Any:
    """An index as Python has it: JSON turned the tuple of slices into a list."""
    if isinstance(value, list) and any(isinstance(item, slice) or item is ... for item in value):
        return tuple(value)
    return value


def _accepted(layer: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Call arguments that say something and that the layer takes; older Keras recorded others too."""
    known = inspect.signature(layer.call).parameters
    said = {key: value for key, value in kwargs.items() if value is not None}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return said
    return {key: value for key, value in said.items() if key in known}
