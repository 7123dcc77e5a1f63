"""Sentences that hold for layers of many kinds: biases, the other framework, tied and frozen weights, buffers.

Knows groups and ties; no kind, no formula.
"""

from __future__ import annotations

from functools import cache

from service.enrich.explanations.recipe import counted, listed, names
from service.frameworks import OWN_RULES, conventions
from service.language import Message, msg, msgn, sentences
from service.tree import Layer, Weight

_BIAS_OPTION = {"keras": "use_bias", "torch": "bias"}
_GRADIENT_TYPES = ("float16", "float32", "float64", "bfloat", "complex")
_OTHER = {"keras": "PyTorch", "torch": "Keras"}
_UNTOLD = msg("The file does not say whether its parameters are trained.")


def without_or_with_bias(framework: str, present: bool, total: int, biases: int) -> Message:
    """What the option that switches the bias does to a count of `total`, `biases` of which are or would be biases."""
    option = _BIAS_OPTION.get(framework)
    if option is None and present:
        return msg("Without bias it would be {count}.", count=total - biases)
    if option is None:
        return msg("With bias it would be {count}.", count=total + biases)
    if present:
        return msg("Without bias ({option}=False) it would be {count}.", option=option, count=total - biases)
    return msg("With bias ({option}=True) it would be {count}.", option=option, count=total + biases)


@cache
def same_elsewhere(framework: str, *, keras: str, torch: str) -> Message:
    """The other framework counts the same for its class; of a model of neither, both do."""
    if framework not in OWN_RULES:
        return msg("{keras} and {torch} count the same.", keras=keras, torch=torch)
    return msg("{framework} counts the same for {counterpart}.", framework=_OTHER[framework],
               counterpart=torch if framework == "keras" else keras)  # fmt: skip


@cache
def no_effect(framework: str, *, keras: tuple[str, ...] = (), torch: tuple[str, ...] = ()) -> Message | None:
    """Options of the framework that people expect to change the count and that do not; None where it has none."""
    options = {"keras": keras, "torch": torch}.get(framework, ())
    if not options:
        return None
    return msgn("The option {options} does not change the count.", "The options {options} do not change the count.",
                n=len(options), options=options)  # fmt: skip


def beside(layer: Layer, framework: str, total: int) -> Message | None:
    """What is not in the count or would not be trained: buffers, frozen and tied weights; None if nothing is."""
    groups = {weight.group for weight in layer.weights}
    found = (
        _buffers(layer, framework, total) if "statistic" in groups else None,
        _frozen(layer) if "frozen" in groups else None,
        _UNTOLD if "unknown" in groups and framework != "keras" else None,
        _tied(layer, framework) if [weight for weight in layer.weights if weight.tied_to] else None,
    )
    return sentences(*found) if any(found) else None


def _buffers(layer: Layer, framework: str, total: int) -> Message | None:
    held = [weight for weight in layer.weights if weight.group == "statistic"]
    if conventions(framework) != "torch" or not held:
        return None
    if framework != "torch":
        return msgn(
            "{names} ({n} value) is kept beside the parameters and not learned by gradient, so it is not in the "
            "{total}.",
            "{names} ({n} values) are kept beside the parameters and not learned by gradient, so they are not in the "
            "{total}.",
            n=_count(held), names=listed(names(held)), total=total,
        )  # fmt: skip
    return msgn(
        "PyTorch keeps {names} ({n} value) as a buffer, outside parameters(), so it is not in the {total}.",
        "PyTorch keeps {names} ({n} values) as buffers, outside parameters(), so they are not in the {total}.",
        n=_count(held), names=listed(names(held)), total=total,
    )  # fmt: skip


def _frozen(layer: Layer) -> Message | None:
    held = [weight for weight in layer.weights if weight.group == "frozen"]
    if not held:
        return None
    if not any((weight.dtype or "float32").startswith(_GRADIENT_TYPES) for weight in held):
        return msg("Quantised weights are not trained by gradient.")
    if any(weight.group in ("trainable", "unknown") for weight in layer.weights):
        return msg("{names} ({count} values) cannot be trained as the model stands.",
                   names=listed(names(held)), count=_count(held))  # fmt: skip
    return msg("The layer is frozen: none of its parameters is trained as the model stands.")


def _tied(layer: Layer, framework: str) -> Message | None:
    held = [weight for weight in counted(layer, framework) if weight.tied_to]
    if not held:
        return None
    owners = tuple(dict.fromkeys(weight.tied_to or "" for weight in held))
    return msgn(
        "{names} shares its storage with {owners}: {count} values, which the layer counts "
        "and the model's totals count only once.",
        "{names} share their storage with {owners}: {count} values, which the layer counts "
        "and the model's totals count only once.",
        n=len(held), names=listed(names(held)), owners=listed(owners), count=_count(held),
    )  # fmt: skip


def _count(weights: list[Weight]) -> int:
    return sum(weight.count or 0 for weight in weights)
