"""Which weights the layers of a configuration must have, and which layers of a file do not have them.

Knows classes and settings, by the tables that also name stored variables; must not know files. Only a lower bound is
asked for: a class of the user's, a layer that was never built, and a setting that the file does not record ask for
nothing, so that what is said to be missing is missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from service.catalog.integrity import listed
from service.catalog.keras_classes import KIND_OF_CLASS, is_custom
from service.catalog.keras_config import Spec, as_shape
from service.catalog.keras_inner import inner_layers
from service.catalog.keras_legacy import modern
from service.catalog.keras_variables import own_variables
from service.language import Message, msg, msgn
from service.plain import shortened, text
from service.tree import Finding, Frozen, Layer

RULE = "variable_missing"
_MAX_NAMES = 12
"""Most layers or weights named in one sentence."""
_MAX_DEPTH = 16
"""Most wrappers within wrappers that are looked into."""
_MARKS = {
    "linear": "units",
    "embedding": "output_dim",
    **dict.fromkeys(("batch_norm", "layer_norm", "group_norm", "rms_norm"), "epsilon"),
    **dict.fromkeys(("simple_rnn", "lstm", "gru"), "units"),
    "conv_lstm": "filters",
    "multi_head_attention": "key_dim",
    "grouped_query_attention": "head_dim",
    **{kind: "kernel_size" for kind in KIND_OF_CLASS.values() if "conv" in kind and kind != "conv_lstm"},
}
"""A setting that every version of Keras records for its own layers of a kind; classes of the user's that share the name
of one, and whose module legacy files do not record, have others."""
_UNCALIBRATED = frozenset({"gptq", "awq"})
"""Modes whose further variables are there only once the layer was calibrated."""


class Lacking(Frozen, frozen=True, kw_only=True):
    """A layer, the names of the weights that it must have, and how many of them there are."""

    path: str
    name: str
    type: str
    wanted: tuple[str, ...]
    held: int


def required(class_name: str, config: dict[str, Any], module: str | None = None, depth: int = 0) -> tuple[str, ...]:
    """Local names of the weights that a built layer has at least, its inner layers' included."""
    kind = KIND_OF_CLASS.get(class_name)
    if kind is None or is_custom(class_name, module) or depth > _MAX_DEPTH:
        return ()
    settings = modern(class_name, config)
    mark = _MARKS.get(kind)
    if mark is not None and mark not in settings:
        return ()
    names = list(_own(class_name, settings))
    for inner in inner_layers(class_name, settings):
        if inner.class_name is not None and inner.name != "gate":  # only gated attentions have this projection
            found = required(inner.class_name, inner.config, None, depth + 1)
            names.extend(found[1:] if kind == "spectral_norm" else found)  # its own first variable is the inner kernel
    return tuple(names)


def _own(class_name: str, config: dict[str, Any]) -> Iterator[str]:
    rule = own_variables(class_name, config)
    for name in rule.names if rule is not None else ():
        unsure = rule is not None and (name in rule.optional or (rule.mode in _UNCALIBRATED and name not in _BASIC))
        if not unsure:
            yield name


_BASIC = frozenset({"kernel", "bias", "embeddings"})


def lacking(model: Spec, layers: Sequence[Layer], elsewhere: Iterable[Layer] = ()) -> list[Lacking]:
    """The layers with fewer weights than they must have.

    `layers` begin with those of `model`, each once, parents before children; `elsewhere` are layers that the file has
    under other places: one of the same name with as many weights is the same layer.
    """
    known: dict[str, int] = defaultdict(int)
    for layer in elsewhere:
        known[layer.name] += len(layer.weights)
    found = (_short(spec, layer) for spec, layer, built in _pairs(model, layers) if built)
    return [one for one in found if one is not None and known.get(one.name, 0) < len(one.wanted)]


def _short(spec: Spec, layer: Layer) -> Lacking | None:
    if spec.layers is not None or spec.operation or layer.shared_with is not None:
        return None
    wanted = required(spec.class_name, spec.config, spec.module)
    held = sum(weight.role != "seed_state" for weight in layer.weights)
    if held >= len(wanted):
        return None
    return Lacking(path=layer.path, name=layer.name, type=spec.class_name, wanted=wanted, held=held)


def _pairs(model: Spec, layers: Sequence[Layer]) -> Iterator[tuple[Spec, Layer, bool]]:
    """Each layer of the configuration with its entry, and whether the model around it, or the layer, was built."""
    entries = iter(layers)
    waiting = [(member, model, False) for member in reversed(model.members)]
    states: dict[str, bool] = {}
    while waiting:
        spec, around, above = waiting.pop()
        layer = next(entries, None)
        if layer is None:
            return
        if spec is next(iter(around.members), None):
            states[around.pointer] = above or _is_built(around, layer)
        built = states.get(around.pointer, False)
        yield spec, layer, built or spec.build_shape is not None or layer.input_shapes is not None
        waiting.extend((member, spec, built) for member in reversed(spec.members))


def _is_built(model: Spec, first: Layer) -> bool:
    """Whether a model's layers were built: those of a graph were called, those of a chain have a known input."""
    if model.layers is None or KIND_OF_CLASS.get(model.class_name) != "container":
        return False
    shape = as_shape(model.build_shape) or as_shape(model.config.get("build_input_shape"))
    return not model.sequential or shape is not None or first.input_shapes is not None


def without_moved(short: list[Lacking], layers: Sequence[Layer], roots: Iterable[str]) -> list[Lacking]:
    """Those of `short` that are really missing in a file that lists a nested model's variables under its name alone.

    Variables are dealt to its layers by name: what one lacks another of the same model (`roots`) may have in its place.
    """
    inside = set(roots)
    spare: dict[str, int] = defaultdict(int)
    for layer in layers:
        root = layer.path.partition("/")[0]
        if root in inside and layer.shared_with is None:
            asked = () if layer.kind == "container" else required(layer.type or "", layer.config, layer.module)
            spare[root] += max(0, len(layer.weights) - len(asked))
    needed: dict[str, int] = defaultdict(int)
    for one in short:
        needed[one.path.partition("/")[0]] += len(one.wanted) - one.held
    return [one for one in short if needed[root := one.path.partition("/")[0]] > spare[root]]


def note(short: Sequence[Lacking]) -> Message:
    """That the counts leave something out."""
    names = [text(one.path, 200) for one in short]
    return msgn(
        "{n} layer lacks weights that its configuration asks for, so the counts leave them out: {layers}.",
        "{n} layers lack weights that their configuration asks for, so the counts leave them out: {layers}.",
        n=len(short), layers=shortened(names, _MAX_NAMES),
    )  # fmt: skip


def findings(short: Sequence[Lacking]) -> list[Finding]:
    """One for each layer, bounded."""
    return listed(RULE, [_finding(one) for one in short])


def _finding(one: Lacking) -> Finding:
    return Finding(
        rule=RULE,
        severity="high",
        path=one.path,
        what=msgn(
            "A {type} with the recorded configuration has {n} weight ({names}), and the file holds {held} for it.",
            "A {type} with the recorded configuration has {n} weights ({names}), and the file holds {held} for it.",
            n=len(one.wanted), type=one.type, names=shortened(one.wanted, _MAX_NAMES), held=one.held,
        ),
        why=msg("Keras refuses to load the file, or leaves these weights at their initial values."),
        action=msg("Save the model again, with the weights of all its layers."),
    )  # fmt: skip
