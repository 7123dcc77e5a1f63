"""Why each layer's count is what it is; knows how to check a rule's formula, while the rules are one file each.

A rule (a module in `service/enrich/explanations/` with `KINDS` and `explain(layer, framework)`) answers with a
`Recipe`: sums of products whose values come from the shapes in the file. The formula is evaluated here and must
give the number of elements it claims to explain. Where a rule does not fit, the honest sum of the weights is given.

What is explained is what the layer's own framework counts as the layer's parameters: in Keras all its weights, the
moving statistics too; in PyTorch its parameters, with the buffers named beside them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

import msgspec

from service.enrich import explanations
from service.enrich.explanations.recipe import Recipe, counted, evaluate, formula, listing, parts, terms
from service.enrich.explanations.weight_sum import sum_of_weights
from service.language import verbatim
from service.tree import Explanation, Layer, Model, element_count


def explain_layers(model: Model) -> Model:
    """`model` with an `explanation` on every layer that has weights of known size."""
    layers = tuple(_explained(layer, model.info.framework) for layer in model.layers)
    return msgspec.structs.replace(model, layers=layers)


@functools.cache
def rules() -> dict[str, ModuleType]:
    """The rule of each kind."""
    found: dict[str, ModuleType] = {}
    for entry in pkgutil.iter_modules(explanations.__path__):
        module = importlib.import_module(f"{explanations.__name__}.{entry.name}")
        found.update(dict.fromkeys(getattr(module, "KINDS", ()), module))
    return found


def _explained(layer: Layer, framework: str) -> Layer:
    if not layer.weights or any(weight.count is None for weight in layer.weights):
        return layer
    recipe, fits = _recipe(layer, framework)
    return msgspec.structs.replace(layer, explanation=_explanation(recipe, layer, framework, fits=fits))


def _recipe(layer: Layer, framework: str) -> tuple[Recipe, bool]:
    """The layer's recipe, and whether its kind's rule gave it (or the kind has none)."""
    rule = rules().get(layer.kind)
    total = sum(weight.count or 0 for weight in counted(layer, framework))
    plain = all(weight.count == element_count(weight.shape) for weight in layer.weights)
    found: Recipe | None = rule.explain(layer, framework) if rule and plain else None
    if found is not None and evaluate(found) == total:
        return found, True
    return sum_of_weights(layer, framework), found is None


def _explanation(recipe: Recipe, layer: Layer, framework: str, *, fits: bool) -> Explanation:
    total = evaluate(recipe)
    return Explanation(
        formula=formula(recipe, total),
        text=verbatim(" ".join(sentence for sentence in (recipe.text, listing(layer, framework, total)) if sentence)),
        expert=verbatim(recipe.text),
        terms=terms(recipe),
        parts=parts(layer),
        total=total,
        status="complete" if fits else "partial",
        reference=recipe.reference,
    )
