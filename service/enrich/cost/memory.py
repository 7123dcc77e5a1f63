"""Bytes needed to serve and to train: weights, gradients, optimizer slots and activations, each assumption named.

Adam: Kingma and Ba 2014 (arXiv:1412.6980), two values per parameter. Mixed precision: Micikevicius et al. 2017
(arXiv:1710.03740), as torch.autocast and Keras' `mixed_float16` do it.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.costs import Memory, Quantity
from service.enrich.cost.work import FIRST_CALL
from service.language import Message, msg
from service.tree import Status

SERVE = msg("To serve")
SGD = msg("To train with SGD")
MOMENTUM = msg("To train with SGD and momentum")
ADAM = msg("To train with Adam")
MIXED = msg("To train with Adam in mixed precision")

SUM = msg("The sum of its parts.")
LIVE = msg(
    "The most activations that are needed at once when the layers run in the order of the graph, and each is given up "
    "after its last use."
)
LIVE_OPERATIONS = msg(
    "The most activations that are needed at once when the operations of the exported graph run in their order, and "
    "each output is given up after its last use."
)
LARGEST = msg(
    "At the least the inputs and outputs of the largest layer: without a graph nobody can tell what else lives."
)
NO_ACTIVATIONS = msg("Activations are left out: their sizes are not known.")
SOME_ACTIVATIONS = msg("Activations of layers whose sizes are not known are left out.")
BETWEEN = msg("Outputs of operations between the layers are left out: the file leaves their sizes open.")
NO_WEIGHTS = msg("Weights of unknown size or element type are left out.")
KEPT = msg("The input and the output of every layer are kept for the backward pass; reshaped views take nothing.")
KEPT_OPERATIONS = msg(
    "The inputs and the output of every operation of the exported graph are kept for the backward pass; views and "
    "operations in place take nothing."
)
INTERNALS = msg(
    "What attention, transformer and recurrent layers hold inside while they run (scores, gates) comes on top."
)
NOTHING_ELSE = msg("The framework itself, workspaces and fragmentation come on top.")
GRADIENTS = msg("One gradient per trained parameter, of its own type.")
SLOT = msg("One slot per trained parameter, of its own type.")
SLOTS = msg("Two slots per trained parameter, of its own type.")
ASSUMED_TRAINED = msg("Parameters of which the file does not say whether they are trained count as trained.")
MIXED_WEIGHTS = msg(
    "Master weights, gradients and two slots per trained parameter in float32; a copy of floating-point parameters and "
    "the activations in 16 bits."
)


@dataclass(slots=True)
class Load:
    """Bytes and elements of a model, as far as they are known.

    Attributes:
        weights: Bytes of all unique weights.
        trained: Bytes of those that are trained, or of which the file does not say.
        trained_elements, elements: The same in elements; all parameters in floating point.
        kept: Bytes of all activations and inputs; `kept_elements` the same in elements; None if none is known.
        live: Most bytes at once; None if not known.
        operations: Whether activations are those of every operation of a graph, not of layers.
        between_missing: Whether operations between the layers leave tensors of unknown size.
        notes: What else holds for the activations; makes the numbers partial.
    """

    weights: int = 0
    fixed: int = 0
    trained: int = 0
    trained_elements: int = 0
    elements: int = 0
    kept: int | None = None
    kept_elements: int = 0
    live: int | None = None
    graph: bool = False
    weights_missing: bool = False
    activations_missing: bool = False
    training_unknown: bool = False
    internals: bool = False
    first_calls: bool = False
    operations: bool = False
    between_missing: bool = False
    notes: tuple[Message, ...] = ()


def scenarios(load: Load) -> tuple[Memory, ...]:
    """Memory to serve and to train in four ways."""
    return (
        _memory("serve", SERVE, {"weights": load.weights}, load.live, _serving(load)),
        _training(load, "train_sgd", SGD, 0),
        _training(load, "train_sgd_momentum", MOMENTUM, 1),
        _training(load, "train_adam", ADAM, 2),
        _mixed(load),
    )


def _serving(load: Load) -> tuple[tuple[Message, ...], bool]:
    missing = _missing(load)
    if load.live is None:
        return tuple(missing), True
    inside = [INTERNALS] if load.internals else []
    partial = bool(missing or inside) or not load.graph
    live = LIVE_OPERATIONS if load.operations else LIVE if load.graph else LARGEST
    return (live, *inside, *missing, NOTHING_ELSE), partial


def _missing(load: Load) -> list[Message]:
    notes = []
    if load.weights_missing:
        notes.append(NO_WEIGHTS)
    if load.kept is None:
        notes.append(NO_ACTIVATIONS)
    elif load.activations_missing:
        notes.append(SOME_ACTIVATIONS)
    if load.kept is not None and load.first_calls:
        notes.append(FIRST_CALL)
    if load.kept is not None and load.between_missing:
        notes.append(BETWEEN)
    return [*notes, *(load.notes if load.kept is not None else ())]


def _trained(load: Load) -> tuple[list[Message], bool]:
    notes = [ASSUMED_TRAINED] if load.training_unknown else []
    if load.internals:
        notes.append(INTERNALS)
    notes.extend(_missing(load))
    partial = bool(notes)
    if load.kept is not None:
        notes.append(KEPT_OPERATIONS if load.operations else KEPT)
    return [*notes, NOTHING_ELSE], partial


def _training(load: Load, scenario: str, title: Message, slots: int) -> Memory:
    notes, partial = _trained(load)
    optimizer = [SLOT] if slots == 1 else [SLOTS] if slots else []
    parts = {"weights": load.weights, "gradients": load.trained, "optimizer": slots * load.trained}
    return _memory(scenario, title, parts, load.kept, ((GRADIENTS, *optimizer, *notes), partial))


def _mixed(load: Load) -> Memory:
    notes, partial = _trained(load)
    parts = {
        "weights": 4 * load.elements + load.fixed,
        "half_precision_copy": 2 * load.elements,
        "gradients": 4 * load.trained_elements,
        "optimizer": 8 * load.trained_elements,
    }
    halves = None if load.kept is None else 2 * load.kept_elements
    return _memory("train_adam_mixed", MIXED, parts, halves, ((MIXED_WEIGHTS, *notes), partial))


def _memory(
    scenario: str,
    title: Message,
    parts: dict[str, int],
    activations: int | None,
    said: tuple[tuple[Message, ...], bool],
) -> Memory:
    held = parts if activations is None else {**parts, "activations": activations}
    notes, partial = said
    status: Status = "partial" if partial else "complete"
    total = Quantity(value=sum(held.values()), status=status, method=SUM, assumptions=notes)
    return Memory(scenario=scenario, title=title, bytes=total, parts=held)
