"""Causes of a gap in words; knows the codes of `service.compare.counting`, no units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.compare.counting import Share, keeps_beside
from service.comparisons import Cause
from service.frameworks import FRAMEWORKS, OWN_RULES, title_of
from service.language import Message, mark, msg, msgn

_LISTED = 3
"""Most layers that a sentence names."""

_ROLES = {
    "moving_mean": mark("moving mean ({count})"),
    "moving_variance": mark("moving variance ({count})"),
    "mean": mark("mean ({count})"),
    "variance": mark("variance ({count})"),
    "count": mark("count ({count})"),
}


Frameworks = tuple[str, str]
"""Of the left and of the right model."""


def cause(share: Share, frameworks: Frameworks) -> Cause:
    """One cause, with everything that a program needs to find its layers."""
    return Cause(code=share.code, count=share.count, text=_text(share, frameworks), layers=tuple(share.layers))


def _text(share: Share, frameworks: Frameworks) -> Message:
    if share.code == "statistics_in_buffers":
        return _statistics(share, frameworks)
    if share.code == "second_bias" and set(frameworks) != OWN_RULES:
        return msg(
            "The second bias of {layers} counts {count}: one model keeps one bias for the input and one for the state,"
            " the other one for both.", layers=named(share.layers), count=abs(share.count),
        )  # fmt: skip
    template = _TEXTS[share.code]
    about = share.norms if share.code == "batch_norm_folded" else share.layers
    return msg(template, layers=named(about), count=abs(share.count))


_TEXTS = {
    "second_bias": mark(
        "The second bias of {layers} counts {count}: PyTorch keeps one bias for the input and one for the state, Keras"
        " one for both."
    ),
    "layers_added": mark("Only the right model has {layers} ({count})."),
    "layers_removed": mark("Only the left model has {layers} ({count})."),
    "bias_added": mark("Only the right model has a bias in {layers} ({count})."),
    "bias_removed": mark("Only the left model has a bias in {layers} ({count})."),
    "weights_added": mark("Only the right model has these weights of {layers} ({count})."),
    "weights_removed": mark("Only the left model has these weights of {layers} ({count})."),
    "tied_weights": mark(
        "Weights of {layers} are tied in one model only: there they count once, {count} less than in the other."
    ),
    "batch_norm_folded": mark(
        "Normalisations that are folded into the layer before them, as the values show: {layers} ({count})."
    ),
    "changed_size": mark("Weights of {layers} have other sizes ({count})."),
}


def _statistics(share: Share, frameworks: Frameworks) -> Message:
    parts = [msg(_ROLES[role], count=abs(count)) if role in _ROLES else msg("statistics ({count})", count=abs(count))
             for role, count in share.roles.items()]  # fmt: skip
    of_norms = set(share.kinds) == {"batch_norm"}
    if set(frameworks) != OWN_RULES:
        return _counted_by(frameworks, parts, None if of_norms else share.layers)
    if of_norms:
        return msg(
            "BatchNormalization's {parts}: Keras counts them as non-trainable weights, PyTorch keeps them as buffers"
            " outside `parameters()`.",
            parts=parts,
        )
    return msg(
        "{parts}, of {layers}: Keras counts them as non-trainable weights, PyTorch keeps them as buffers outside"
        " `parameters()`.",
        parts=parts, layers=named(share.layers),
    )  # fmt: skip


def _counted_by(frameworks: Frameworks, parts: Sequence[Message], layers: Iterable[str] | None) -> Message:
    """Which model's count has statistics in it; `layers` where it is not only BatchNormalization that keeps them."""
    counts, beside = sorted(frameworks, key=keeps_beside)
    if not {counts, beside} <= FRAMEWORKS.keys():
        if layers is None:
            return msg("BatchNormalization's {parts}: one model counts them as weights, the other does not.",
                       parts=parts)  # fmt: skip
        return msg("{parts}, of {layers}: one model counts them as weights, the other does not.",
                   parts=parts, layers=named(layers))  # fmt: skip
    names = {"counts": title_of(counts), "beside": title_of(beside)}
    if layers is None:
        return msg("BatchNormalization's {parts}: {counts} counts them as weights, {beside} has them beside its"
                   " parameters.", parts=parts, **names)  # fmt: skip
    return msg("{parts}, of {layers}: {counts} counts them as weights, {beside} has them beside its parameters.",
               parts=parts, layers=named(layers), **names)  # fmt: skip


def named(paths: Iterable[str]) -> tuple[str | Message, ...]:
    """The first layers by name, and how many more there are."""
    found = list(paths)
    more = len(found) - _LISTED
    return (*found[:_LISTED], *((msgn("{n} more", "{n} more", n=more),) if more > 0 else ()))
