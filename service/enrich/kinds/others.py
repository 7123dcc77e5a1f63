"""Kinds whose weights no formula can tell beforehand: wrappers, containers, classes that nobody knows here."""

from __future__ import annotations

from service.enrich.kinds.entry import Entry
from service.language import Message, msg


def entries() -> dict[str, Entry]:
    """The kinds of this family."""
    return {name: Entry(notes=(note,), has_weights=name != "lambda") for name, note in _notes().items()}


def _notes() -> dict[str, Message]:
    held = msg("It can hold weights itself, beside those of the layers in it; they are added up.")
    return {
        "time_distributed": msg("It counts as the layer inside does: the same inner layer is used at every time step."),
        "activation": msg("Nearly all activations have no weights; where a class has some, they are added up."),
        "preprocessing": msg(
            "Most have no weights. Vocabularies, bin edges and filter banks that a layer keeps are never trained; they "
            "are added up."
        ),
        "quantization": msg(
            "Packed parameters of quantised operators have as many values as the layer they stand for, in fewer bits. "
            "Scales and zero points are kept beside them and are never trained."
        ),
        "loss": msg("A loss has no parameters; class weights that it keeps are buffers."),
        "container": held,
        "model": held,
        "wrapper": msg("It counts as the layer inside does."),
        "parameter": msg("These weights belong to no layer of a known class; the model holds them itself."),
        "lambda": msg("Code is not run here: what weights it uses, if any, belong to other layers."),
        "custom": msg(
            "Its class is not one of the framework's, so the count is the sum of its weights: there is no reason to be "
            "given for their sizes."
        ),
        "unknown": msg(
            "The file does not name the class, and the weights do not tell it, so the count is the sum of the weights."
        ),
    }
