"""Attacks on the numbers that a PyTorch file is said to hold: row T3 of the threat catalogue."""

from __future__ import annotations

from tests.attacks.frame import Attacks, Trap, harmless, noted
from tests.attacks.opcodes import STOP
from tests.attacks.torch_files import CONFUSION, WHOLE, saved
from tests.service.readers.torch_archives import mapping, tensor

ATTACKS = Attacks()


@ATTACKS("T3-13", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand.html",
         expects=noted("torch_repeated_elements"))  # fmt: skip
def parameters_out_of_nothing(trap: Trap) -> bytes:
    """A trillion parameters in 24 bytes: both steps are zero."""
    return saved(mapping(w=tensor("0", 6, (10**6, 10**6), (0, 0))) + STOP, storages=WHOLE)


@ATTACKS("T3-14", source="https://docs.pytorch.org/docs/stable/generated/torch.Tensor.expand.html", expects=harmless())
def expanded_row(trap: Trap) -> bytes:
    """A row that is repeated, as expand() makes it."""
    return saved(mapping(w=tensor("0", 6, (4, 6), (0, 1))) + STOP, storages=WHOLE)


@ATTACKS("T3-15", source=CONFUSION, expects=harmless(complete=False))
def half_of_the_values(trap: Trap) -> bytes:
    """Of two tensors one is not in the file: whoever adds up its numbers has to know."""
    return saved(mapping(w=tensor("0", 6, (2, 3), (3, 1)), v=tensor("9", 6, (2, 3), (3, 1))) + STOP, storages=WHOLE)
