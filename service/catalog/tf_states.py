"""What TensorFlow checkpoints hold beside a model's variables: slots of optimizers, averages, counters, metrics.

Knows the names that optimizers of TF 1, Keras 2 and Keras 3 give, and the keys of TF 2; must not know files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from service.catalog.tf_variables import Variable, beside
from service.tree import State

_SLOT_ROLES = {
    "Adam": "momentum", "Adam_1": "velocity", "AdaMax": "momentum", "AdaMax_1": "velocity", "Nadam": "momentum",
    "Nadam_1": "velocity", "Momentum": "momentum", "RMSProp": "velocity", "RMSProp_1": "momentum",
    "Adagrad": "velocity", "AdagradDA": "velocity", "Adadelta": "velocity", "Adadelta_1": "optimizer_slot",
    "Ftrl": "velocity", "Ftrl_1": "optimizer_slot", "LAMB": "momentum", "LAMB_1": "velocity", "adam_m": "momentum",
    "adam_v": "velocity", "m": "momentum", "v": "velocity", "momentum": "momentum", "velocity": "velocity",
    "rms": "velocity", "vhat": "velocity", "mg": "momentum", "accumulator": "velocity", "linear": "optimizer_slot",
    "accum_grad": "velocity", "accum_var": "optimizer_slot", "LARSOptimizer": "momentum",
}  # fmt: skip
"""Names of slots, behind the name of the variable they belong to: TF 1's optimizers number theirs."""
_AVERAGES = frozenset({"ExponentialMovingAverage", "average", "ema"})
_COUNTERS = frozenset({"global_step", "save_counter"})
_SCALARS = re.compile(
    r"(?:beta1_power|beta2_power|iter|iterations|_iterations|learning_rate|_learning_rate|decay"
    r"|beta_1|beta_2|rho|momentum)"
    r"(?:_\d+)?"
)
_OPTIMIZER = re.compile(
    r"(?:training/)?(?:optimizer|opt|Adam|AdamW|SGD|RMSprop|Nadam|Adamax|Adagrad|Adadelta|Ftrl|Lion|LAMB|nadam|adam|adamw"
    r"|sgd|rmsprop)(?:_\d+)?"
)
_SLOT_KEY = "/.OPTIMIZER_SLOT/"


class Sorted(NamedTuple):
    """Variables of the model, and what is stored beside them."""

    model: list[Variable]
    states: tuple[State, ...]


def set_apart(variables: Sequence[Variable], slots: Mapping[str, str] | None = None) -> Sorted:
    """The model's variables in their order, and states.

    `slots` are keys of optimizer slots that an object graph tells of, and what each is called.
    """
    names = {variable.name for variable in variables}
    model: list[Variable] = []
    groups: dict[str, list[tuple[Variable, str]]] = {"optimizer": [], "ema": [], "other": []}
    for variable in variables:
        group, role = _place(variable, names, slots or {})
        if group is None:
            model.append(variable)
        else:
            groups[group].append((variable, role))
    return Sorted(model, tuple(_states(groups)))


def _place(variable: Variable, names: set[str], slots: Mapping[str, str]) -> tuple[str | None, str]:
    """Group and role of a variable; group None for one of the model's own."""
    if variable.key in slots:
        return "optimizer", _role_of_slot(slots[variable.key])
    if _SLOT_KEY in variable.key:
        return "optimizer", _role_of_slot(variable.key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE").rpartition("/")[2])
    head, _, last = variable.name.rpartition("/")
    if last in _AVERAGES and head in names:
        return "ema", "ema"
    if head in names and last in _SLOT_ROLES:
        return "optimizer", _SLOT_ROLES[last]
    if _is_optimizers(variable, head, last):
        return "optimizer", _role_in_optimizer(variable)
    if last in _COUNTERS or head in _COUNTERS:
        return "other", "iteration"
    return _other(variable)


def _other(variable: Variable) -> tuple[str | None, str]:
    """Metrics, tables and copies, which are no part of the model either."""
    if variable.key.startswith("keras_api/metrics/"):
        return "other", "other"
    if variable.dtype in ("string", "resource", "variant"):
        return "other", "vocabulary"
    return None, ""


def _is_optimizers(variable: Variable, head: str, last: str) -> bool:
    first, _, rest = variable.name.partition("/")
    if first == "training":
        first = f"training/{rest.partition('/')[0]}" if rest else first
    if variable.key.startswith(("optimizer/", "_optimizer/")) or _OPTIMIZER.fullmatch(first):
        return True
    if variable.shape != () or not _SCALARS.fullmatch(last):
        return False
    return not head or _OPTIMIZER.fullmatch(head) is not None or last.startswith(("beta1_power", "beta2_power"))


def _role_of_slot(name: str) -> str:
    return _SLOT_ROLES.get(name, "optimizer_slot")


def _role_in_optimizer(variable: Variable) -> str:
    last = variable.name.rpartition("/")[2]
    key = variable.key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE").rpartition("/")[2]
    if {last, key} & {"iter", "iterations", "_iterations", "iteration"}:
        return "iteration"
    if {last, key} & {"learning_rate", "_learning_rate", "current_learning_rate"}:
        return "learning_rate"
    if variable.shape == ():
        return "optimizer_slot"
    if last in _SLOT_ROLES:
        return _SLOT_ROLES[last]
    return next((_SLOT_ROLES[step] for step in variable.name.split("/")[1:2] if step in _SLOT_ROLES), _by_ending(last))


def _by_ending(last: str) -> str:
    if last.endswith("_momentum"):
        return "momentum"
    return "velocity" if last.endswith("_velocity") else "optimizer_slot"


def _states(groups: Mapping[str, list[tuple[Variable, str]]]) -> Iterable[State]:
    if groups["optimizer"]:
        yield State(
            name="optimizer",
            group="optimizer",
            weights=tuple(beside(variable, "optimizer", role) for variable, role in groups["optimizer"]),
        )
    if groups["ema"]:
        yield State(name="ema", group="ema", weights=tuple(beside(one, "ema", role) for one, role in groups["ema"]))
    if groups["other"]:
        yield State(
            name="other", group="other", weights=tuple(beside(one, "other", role) for one, role in groups["other"])
        )
