"""What one should know beside the causes; knows what files cannot tell, no alignment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.compare.causes import named
from service.compare.counting import counts, keeps_beside
from service.compare.matched import Match
from service.comparisons import HyperParameter
from service.frameworks import OWN_RULES
from service.language import Message, msg
from service.tree import Report


def notes(match: Match, settings: Sequence[HyperParameter]) -> Iterator[Message]:
    """Sentences on what neither count includes, on settings, and on what could not be compared."""
    yield from _settings(match, settings)
    yield from _tracked(match)
    yield from _optimizer(match)
    if not match.one_framework:
        yield from _untold(match)
    yield from _resets(match)


def repaired(layers: Sequence[str]) -> Iterator[Message]:
    """On layers that only their numbers tell apart."""
    if layers:
        yield msg(
            "{layers} have the same structure, and nothing else tells which is which: they were paired by their values."
            " If they are meant in the order of the file, the conversion exchanged them.",
            layers=named(layers),
        )


def _settings(match: Match, settings: Sequence[HyperParameter]) -> Iterator[Message]:
    """Settings that are not the same once converted, by name."""
    differing: dict[str, list[HyperParameter]] = {}
    for setting in settings if not match.one_framework else ():
        if setting.equal is False:
            differing.setdefault(setting.name, []).append(setting)
    for name, found in differing.items():
        yield msg(
            "The setting {name} is not the same: {layers} ({left} and {right}).",
            name=name, layers=named(setting.left for setting in found), left=str(found[0].converted),
            right=str(found[0].right_value),
        )  # fmt: skip


def _tracked(match: Match) -> Iterator[Message]:
    tracked = [
        sum(
            weight.count or 0
            for layer in report.layers
            for weight in layer.weights
            if weight.role == "num_batches_tracked"
            and not counts(weight, beside=keeps_beside(report.model.framework))
        )
        for report in (match.left, match.right)
    ]
    if tracked[0] != tracked[1] and not all(tracked):
        yield msg(
            "PyTorch's state_dict also holds num_batches_tracked ({count}), which neither count includes.",
            count=sum(tracked),
        )


def _optimizer(match: Match) -> Iterator[Message]:
    if match.left.totals.optimizer or match.right.totals.optimizer:
        yield msg("What an optimizer stores is not part of either count.")


def _untold(match: Match) -> Iterator[Message]:
    if _has_no_settings(match.left):
        yield msg("The left model's file holds no settings (epsilon, momentum, padding ...) that could be compared.")
    if _has_no_settings(match.right):
        yield msg("The right model's file holds no settings (epsilon, momentum, padding ...) that could be compared.")


def _has_no_settings(report: Report) -> bool:
    held = [layer for layer in report.layers if layer.weights]
    return bool(held) and not any(layer.config for layer in held)


def _resets(match: Match) -> Iterator[Message]:
    """A GRU of Keras with one bias applies the reset gate elsewhere than PyTorch does."""
    if {match.left.model.framework, match.right.model.framework} != OWN_RULES:
        return
    for pair in match.pairs:
        if pair.left is None or pair.right is None or pair.left.family != "gru":
            continue
        if ("bias" in pair.left.slots and "bias" in pair.right.slots) and (
            ("recurrent_bias" in pair.left.slots) != ("recurrent_bias" in pair.right.slots)
        ):
            yield msg(
                "{layer}: with reset_after=False Keras applies the reset gate before the product with the state;"
                " PyTorch applies it after, so that no weights make both the same.",
                layer=pair.left.layer.path,
            )
