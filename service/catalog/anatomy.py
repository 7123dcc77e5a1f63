"""Which arrays of a checkpoint are the model's, and which belong to an averaged copy, an optimizer or something else.

Told by names alone: the first step of a path (`optimizer.state.0.exp_avg`, `model_ema.`, `opt_state.0.mu.`) or its
last (`exp_avg_sq`, `momentum_buffer`). A file that holds nothing but an averaged copy is that model. Knows no file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from service.catalog.named_arrays import Stored

What = Literal["optimizer", "ema", "scheduler", "other"]

_HEADS: dict[str, What] = {
    **dict.fromkeys(("optimizer", "optimizers", "optim", "optimizer_state", "optimizer_states", "opt_state", "opt",
                     "optimizer_state_dict", "optimizer_weights"), "optimizer"),
    **dict.fromkeys(("ema", "model_ema", "ema_model", "ema_state", "ema_params", "params_ema", "ema_state_dict",
                     "state_dict_ema", "model_ema_state_dict", "ema_weights", "swa_model", "averaged_model", "shadow",
                     "shadow_params"), "ema"),
    **dict.fromkeys(("scheduler", "schedulers", "lr_scheduler", "lr_schedulers", "lr_scheduler_state_dict"),
                    "scheduler"),
    **dict.fromkeys(("rng", "rng_state", "rng_states", "random_states", "epoch", "global_step", "step", "iteration",
                     "grad_scaler", "scaler", "loss_scaler", "callbacks", "loops"), "other"),
}  # fmt: skip
"""First steps of names and what lies behind them."""
_SLOTS = (".exp_avg", ".exp_avg_sq", ".max_exp_avg_sq", ".momentum_buffer", ".square_avg", ".acc_delta")
"""Last steps of names that only optimizers have (`torch.optim`)."""
_MOMENTS = ("m", "v", "mu", "nu", "exp_avg", "exp_avg_sq")
"""First steps of an Adam whose moments lie beside the parameters, under the parameters' own names."""
_AVERAGED = frozenset({"ema", "swa", "averaged", "avg", "shadow", "polyak"})
_WRAPPERS = ("state_dict", "model_state_dict", "params")
"""First steps that say nothing of the model itself; taken away where all of its arrays have them."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The model's arrays, and those beside it by the first step of their names."""

    model: Sequence[Stored]
    beside: dict[str, tuple[What, list[Stored]]] = field(default_factory=dict)


def split(arrays: Sequence[Stored]) -> Anatomy:
    """The parts of a checkpoint; all of it is the model where nothing says otherwise."""
    names = [one.name for one in arrays]
    heads = {name.partition(".")[0] for name in names if "." in name}
    known = {head: _HEADS[head] for head in heads if head in _HEADS}
    known.update(_copies(heads, names))
    slotted = any(name.endswith(_SLOTS) for name in names)
    if not known and not slotted:
        return Anatomy(_unwrapped(arrays))
    found = _sorted(arrays, known)
    if not found.model:
        return _without_model(arrays, found)
    return Anatomy(_unwrapped(found.model), found.beside)


def _sorted(arrays: Sequence[Stored], known: dict[str, What]) -> Anatomy:
    model: list[Stored] = []
    beside: dict[str, tuple[What, list[Stored]]] = {}
    for one in arrays:
        head, dot, _ = one.name.partition(".")
        what = known.get(head)
        if what is None and one.name.endswith(_SLOTS):
            head, what = "optimizer", "optimizer"
        if what is None or not dot:
            model.append(one)
        else:
            beside.setdefault(head, (what, []))[1].append(one)
    return Anatomy(model, beside)


def _without_model(arrays: Sequence[Stored], found: Anatomy) -> Anatomy:
    """An averaged copy that is alone is the model; a file of states alone holds no model."""
    copies = [head for head, (what, _) in found.beside.items() if what == "ema"]
    if not copies:
        return found if any(what == "optimizer" for what, _ in found.beside.values()) else Anatomy(_unwrapped(arrays))
    chosen = copies[0]
    beside = {head: held for head, held in found.beside.items() if head != chosen}
    return Anatomy(_stripped(found.beside[chosen][1], chosen), beside)


def _copies(heads: set[str], names: Sequence[str]) -> dict[str, What]:
    """First steps behind which names of the model stand again: two of Adam's moments, or an averaged copy."""
    moments = heads.intersection(_MOMENTS)
    found: dict[str, What] = dict.fromkeys(moments, "optimizer") if len(moments) > 1 else {}
    found.update({head: "ema" for head in heads if head not in _HEADS and sounds_averaged(head)})
    if not found:
        return found
    held = set(names)
    own = dict.fromkeys(found, 0)
    for name in names:
        head, _, behind = name.partition(".")
        if head in own and behind not in held:
            own[head] += 1
    return {head: what for head, what in found.items() if not own[head]}


def sounds_averaged(key: str) -> bool:
    """Whether a key names an averaged copy (`ema`, `model_ema`, `swaModel`)."""
    if not any(word in key.lower() for word in _AVERAGED):
        return False
    words = re.split(r"[^a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", key).lower())
    return bool(_AVERAGED & set(words))


def _unwrapped(arrays: Sequence[Stored]) -> Sequence[Stored]:
    for wrapper in _WRAPPERS:
        start = f"{wrapper}."
        if arrays and all(one.name.startswith(start) for one in arrays):
            return _stripped(arrays, wrapper)
    return arrays


def _stripped(arrays: Sequence[Stored], head: str) -> list[Stored]:
    return [
        msgspec.structs.replace(one, name=one.name[len(head) + 1 :], stored_as=one.stored_as or one.name)
        for one in arrays
    ]
