"""Settings that both layers of a pair record, converted and compared; knows no counts and no numbers of weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from service.compare.activations import Activations
from service.compare.conventions import SETTINGS, Convert, Setting, number, per_axis, same, value_of
from service.compare.matched import Match
from service.comparisons import HyperParameter
from service.frameworks import OWN_RULES, conventions
from service.language import msg
from service.tree import Layer

LayerPairs = Iterable[tuple[Layer, Layer]]
_UNTOLD = frozenset({"name", "trainable", "training", "module", "registered_name", "build_config", "batch_shape",
                      "version"})  # fmt: skip
MAX_LIST = 16
"""Longest list of numbers that is compared as a setting."""


def hyperparameters(match: Match, layers: LayerPairs) -> Iterator[HyperParameter]:
    """All settings that can be compared, layer by layer."""
    ours, theirs = Activations(match.left), Activations(match.right)
    padded = any(layer.kind == "padding" for report in (match.left, match.right) for layer in report.layers)
    for left, right in layers:
        if match.one_framework:
            yield from _differing(left, right)
        else:
            yield from _converted(match, left, right, padded=padded)
            yield from _head_size(match, left, right)
            yield from _fixed(match, left, right)
            yield from _activation(left, right, ours, theirs)


def _differing(left: Layer, right: Layer) -> Iterator[HyperParameter]:
    """Two versions in one framework: every plain setting that is not the same."""
    for name, value in left.config.items():
        other = right.config.get(name)
        if (
            name in _UNTOLD
            or name not in right.config
            or not _plain(value)
            or not _plain(other)
            or _alike(value, other)
        ):
            continue
        yield HyperParameter(left=left.path, right=right.path, name=name[:200], left_value=value, right_value=other,
                             converted=value, equal=False)  # fmt: skip


def _alike(value: Any, other: Any) -> bool:
    """One value, or one for all axes and the same for each."""
    if isinstance(value, list) != isinstance(other, list):
        several, one = (value, other) if isinstance(value, list) else (other, value)
        return bool(several) and number(one) is not None and all(item == one for item in several)
    return bool(value == other)


def _plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 200
    if isinstance(value, list):
        return len(value) <= MAX_LIST and all(item is None or number(item) is not None for item in value)
    return value is None or isinstance(value, bool) or number(value) is not None


def _converted(match: Match, left: Layer, right: Layer, *, padded: bool) -> Iterator[HyperParameter]:
    """Settings under their names in two frameworks, the left one in the right one's convention.

    `padded`: either model has layers that only pad, so that a padding may stand there instead of in the layer.
    """
    frameworks = match.left.model.framework, match.right.model.framework
    for setting in _settings(left, right):
        if setting.name == "padding" and not OWN_RULES.issuperset(frameworks):
            continue
        ours, theirs = (value_of(side, _names(setting, framework))
                        for side, framework in zip((left, right), frameworks, strict=True))  # fmt: skip
        if ours is None or theirs is None or not _plain(ours) or not _plain(theirs):
            continue
        converted = _carried(setting, frameworks)(ours, left)
        equal = ours == theirs or _equal(converted, theirs, right) if setting.name == "padding" else _equal(
            converted, theirs, right)  # fmt: skip
        unsure = setting.name == "padding" and padded and equal is False
        yield HyperParameter(
            left=left.path, right=right.path, name=setting.name, left_value=ours, right_value=theirs,
            converted=converted, equal=None if unsure else equal,
            text=setting.text if set(frameworks) == OWN_RULES else None,
        )  # fmt: skip


_OLD_SHARE = frozenset({"keras", "tensorflow", "tflite", "onnx", "paddle", "jax"})
"""Frameworks whose momentum, as Keras' is, is the share of the old average."""


def _names(setting: Setting, framework: str) -> tuple[str, ...]:
    """What a framework may call a setting."""
    if framework in OWN_RULES:
        return setting.torch if framework == "torch" else setting.keras
    return tuple(dict.fromkeys((*setting.keras, *setting.torch)))


def _carried(setting: Setting, frameworks: tuple[str, str]) -> Convert:
    """How the left framework's value becomes the right one's."""
    left, right = (framework in _OLD_SHARE for framework in frameworks)
    if left == right:
        return setting.to_torch if setting.to_torch is setting.to_keras and setting.name != "momentum" else same
    return setting.to_torch if left else setting.to_keras


def _settings(left: Layer, right: Layer) -> tuple[Setting, ...]:
    """Those of the kind; a depthwise convolution is a grouped one in PyTorch."""
    kinds = {left.kind, right.kind}
    if len({kind.removeprefix("depthwise_") for kind in kinds}) != 1:
        return ()
    return SETTINGS.get(max(kinds, key=len), ())


def _equal(converted: Any, theirs: Any, right: Layer) -> bool | None:
    if converted is None:
        return None
    if isinstance(converted, list) and any(isinstance(item, list) for item in converted):
        return False if any(per_axis(theirs, right) or ()) else None  # zeros: a layer before it may pad
    if isinstance(converted, list):
        return bool(converted == per_axis(theirs, right))
    ours, other = number(converted), number(theirs)
    if ours is not None and other is not None:
        return abs(ours - other) <= 1e-9 * max(abs(ours), abs(other))
    return bool(converted == theirs)


def _head_size(match: Match, left: Layer, right: Layer) -> Iterator[HyperParameter]:
    """Scores are divided by the root of a head's size: `key_dim` in Keras, embed_dim / num_heads in PyTorch."""
    if left.kind != right.kind or left.kind != "multi_head_attention" or not _is_between_own(match):
        return
    torch = conventions(match.left.model.framework) == "torch"
    sizes = _per_head(left) if torch else left.config.get("key_dim"), (
        right.config.get("key_dim") if torch else _per_head(right))  # fmt: skip
    ours, theirs = (number(size) for size in sizes)
    if ours is not None and theirs is not None:
        yield HyperParameter(left=left.path, right=right.path, name="head_size", left_value=ours, right_value=theirs,
                             converted=ours, equal=ours == theirs,
                             text=msg("Attention scores are divided by the square root of a head's size."))  # fmt: skip


def _is_between_own(match: Match) -> bool:
    """Whether one side is Keras and the other PyTorch, of whose classes the arguments are known."""
    return {match.left.model.framework, match.right.model.framework} == OWN_RULES


def _per_head(layer: Layer) -> int | None:
    width, heads = number(layer.config.get("embed_dim")), number(layer.config.get("num_heads"))
    whole = isinstance(width, int) and isinstance(heads, int) and heads > 0 and width % heads == 0
    return width // heads if whole and isinstance(width, int) and isinstance(heads, int) else None


_FIXED = {
    ("lstm", "recurrent_activation"): "sigmoid",
    ("gru", "recurrent_activation"): "sigmoid",
    ("lstm", "activation"): "tanh",
    ("gru", "activation"): "tanh",
    ("gru", "reset_after"): True,
    ("lstm", "recurrent_dropout"): 0.0,
    ("gru", "recurrent_dropout"): 0.0,
    ("lstm", "go_backwards"): False,
    ("gru", "go_backwards"): False,
}
"""What Keras lets one choose and PyTorch's class always does."""


def _fixed(match: Match, left: Layer, right: Layer) -> Iterator[HyperParameter]:
    """Settings of a Keras layer that are fixed in PyTorch."""
    torch = conventions(match.left.model.framework) == "torch"
    keras = right if torch else left
    if left.kind != right.kind or not _is_between_own(match):
        return
    for (kind, name), value in _FIXED.items():
        given = keras.config.get(name)
        if kind == keras.kind and given is not None and not isinstance(given, list) and _plain(given):
            yield HyperParameter(
                left=left.path, right=right.path, name=name, left_value=value if torch else given,
                right_value=given if torch else value, converted=value if torch else given, equal=given == value,
                text=msg("PyTorch's class has no such argument: it is always {value}.", value=str(value)),
            )  # fmt: skip


def _activation(left: Layer, right: Layer, ours: Activations, theirs: Activations) -> Iterator[HyperParameter]:
    """The activation after a layer with weights, wherever each framework writes it down."""
    if not left.weights or left.kind in _OWN_ACTIVATION or right.kind in _OWN_ACTIVATION:
        return
    mine, other = ours.of(left), theirs.of(right)
    if mine is None or other is None or mine == other == "linear":
        return
    yield HyperParameter(left=left.path, right=right.path, name="activation", left_value=mine, right_value=other,
                         converted=mine, equal=mine == other)  # fmt: skip


_OWN_ACTIVATION = frozenset({"lstm", "gru", "simple_rnn", "rnn", "rnn_cell", "bidirectional", "conv_lstm",
                             "multi_head_attention", "prelu"})  # fmt: skip
