"""Why each layer's count is what it is; knows how to check a rule's formula, while the rules are one file each.

A rule (a module in `service/enrich/explanations/` with `KINDS` and `explain(layer, framework)`) answers with a
`Recipe`: sums of products whose values follow from the shapes in the file. The formula is evaluated here and must give
the number of elements that the framework counts; what it says of the layer's settings must be what the configuration
records. Where either fails, the layer gets the honest sum of its weights, or a partial explanation, and a finding.

What is explained is what the layer's own framework counts as the layer's parameters: in Keras all its weights, the
moving statistics too; in PyTorch its parameters, with the buffers named beside them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType
from typing import Any

import msgspec

from service.enrich import explanations
from service.enrich.explanations import lora
from service.enrich.explanations.addition import Addition
from service.enrich.explanations.additions import additions_of
from service.enrich.explanations.contradictions import (
    Contradiction,
    contradictions,
    mismatch,
    misrecorded,
    unassigned,
    with_rest,
)
from service.enrich.explanations.inner import unwrapped, wrapping
from service.enrich.explanations.recipe import Recipe, counted, evaluate, formula, parts, terms
from service.enrich.explanations.remarks import beside
from service.enrich.explanations.weight_sum import sum_of_weights
from service.frameworks import conventions
from service.language import Message, msg, sentences
from service.tree import Explanation, Finding, Layer, Model, Status, element_count

RULES = ("formula_mismatch", "config_mismatch")
"""The rules of the findings that explaining may bring."""


def explain_layers(model: Model) -> Model:
    """`model` with an `explanation` on every layer that has weights of known size, and findings where it fails."""
    framework = model.info.framework
    known: dict[Any, tuple[Explanation | None, list[Finding]]] = {}
    layers: list[Layer] = []
    found: list[Finding] = []
    for layer in model.layers:
        if not layer.weights:
            layers.append(layer)
            continue
        key = _likeness(layer)
        if key not in known:
            known[key] = explained(layer, framework)
        explanation, findings = known[key]
        layers.append(layer if explanation is None else msgspec.structs.replace(layer, explanation=explanation))
        found.extend(msgspec.structs.replace(one, path=layer.path) for one in findings)
    return msgspec.structs.replace(model, layers=tuple(layers), findings=(*model.findings, *with_rest(found)))


def _likeness(layer: Layer) -> Any:
    """Equal for layers that are explained alike: deep models repeat theirs by the hundred."""
    weights = tuple([
        (one.name, one.role, one.shape, one.dtype, one.count, one.stored_count, one.group, one.layout, one.tied_to)
        for one in layer.weights
    ])  # fmt: skip
    what = (layer.kind, layer.type, layer.type_source, layer.module, layer.custom, weights)
    place = layer.path if "lora_" in layer.path else None
    settings = {name: value for name, value in layer.config.items() if name != "name"} if layer.config else None
    return what, place, msgspec.json.encode(settings) if settings else None


def explained(layer: Layer, framework: str) -> tuple[Explanation | None, list[Finding]]:
    """One layer's explanation, None without weights of known size; and what contradicts it."""
    if not layer.weights or any(weight.count is None for weight in layer.weights):
        return None, []
    total = sum(weight.count or 0 for weight in counted(layer, framework))
    recipe = _recipe(layer, framework)
    if recipe is None:
        honest = sum_of_weights(layer, framework)
        has_rule = layer.kind in expected_kinds() and not layer.custom and total > 0
        finding = unassigned(layer, framework) if has_rule else None
        return _explanation(honest, layer, framework, "partial" if has_rule else "complete"), [
            finding
        ] if finding else []
    if evaluate(recipe.sums) != total:
        honest = _honest(layer, framework, recipe)
        return _explanation(honest, layer, framework, "partial"), mismatch(layer, recipe, total)
    broken = contradictions(layer, recipe)
    status: Status = "complete" if recipe.certain and not broken else "partial"
    return _explanation(_doubted(recipe, broken), layer, framework, status), misrecorded(layer, broken)


@functools.cache
def rules() -> dict[str, ModuleType]:
    """The rule of each kind."""
    found: dict[str, ModuleType] = {}
    for entry in pkgutil.iter_modules(explanations.__path__):
        module = importlib.import_module(f"{explanations.__name__}.{entry.name}")
        found.update(dict.fromkeys(getattr(module, "KINDS", ()), module))
    return found


@functools.cache
def expected_kinds() -> frozenset[str]:
    """Kinds whose layers are expected to have a formula: all with a rule, but for packed parameters of any sort."""
    return frozenset(rules()) - {"quantization"}


def _recipe(layer: Layer, framework: str) -> Recipe | None:
    """The recipe of the layer's kind with its additions; None where no rule fits its weights."""
    if any(weight.count != element_count(weight.shape) for weight in layer.weights):
        return None
    ways = conventions(framework)
    adapter = lora.adapter(layer, ways)
    if adapter is not None:
        return adapter
    inner = unwrapped(layer, framework)
    subject = inner or layer
    added = additions_of(subject, ways)
    extra = {id(weight) for addition in added for weight in addition.weights}
    core = tuple(weight for weight in subject.weights if id(weight) not in extra)
    rule = rules().get(subject.kind)
    own: Recipe | None = rule.explain(msgspec.structs.replace(subject, weights=core), framework) if rule else None
    return None if own is None else _joined(own, added, layer, lora.merged(layer) if framework == "keras" else None)


def _joined(own: Recipe, added: tuple[Addition, ...], layer: Layer, remark: Message | None) -> Recipe:
    """A kind's recipe, the additions' and a last remark for experts in one."""
    references = dict.fromkeys([own.reference, *(addition.reference for addition in added)])
    return msgspec.structs.replace(
        own,
        sums=(*own.sums, *(part for addition in added for part in addition.sums)),
        text=_in_a_row(own.text, wrapping(layer), *(addition.text for addition in added)),
        expert=_in_a_row(own.expert, *(addition.expert for addition in added), remark),
        reference="; ".join(reference for reference in references if reference) or None,
    )


def _in_a_row(first: Message, *more: Message | None) -> Message:
    return sentences(first, *more) if any(more) else first


def _honest(layer: Layer, framework: str, recipe: Recipe) -> Recipe:
    """The sum of the weights, with a word on the formula that does not give it."""
    honest = sum_of_weights(layer, framework)
    doubt = msg("The formula of this kind of layer gives another count: {formula}.", formula=formula(recipe.sums))
    return msgspec.structs.replace(honest, text=sentences(honest.text, doubt), reference=recipe.reference)


def _doubted(recipe: Recipe, broken: list[Contradiction]) -> Recipe:
    if not broken:
        return recipe
    return msgspec.structs.replace(recipe, text=_in_a_row(recipe.text, *(one.what for one in broken)))


def _explanation(recipe: Recipe, layer: Layer, framework: str, status: Status) -> Explanation:
    total = evaluate(recipe.sums)
    return Explanation(
        formula=formula(recipe.sums),
        text=_in_a_row(recipe.text, beside(layer, framework, total)),
        expert=recipe.expert,
        terms=terms(recipe.sums),
        parts=parts(layer),
        total=total,
        status=status,
        reference=recipe.reference,
    )
