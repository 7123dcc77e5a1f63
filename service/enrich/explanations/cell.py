"""The type of a recurrent cell: inputs, units, gates, biases and what few have; knows no weights, no wording."""

from __future__ import annotations

from service.tree import Frozen

GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}


class Cell(Frozen, frozen=True, kw_only=True):
    """One cell. `carried` values go to the next step: `units`, or fewer where they are projected.

    Attributes:
        inputs: Values that it reads in each step; 0 where another layer has multiplied them already.
        biases: Vectors of one value per gate and unit.
        candidate_biases: Vectors of one value per unit that a GRU's candidate has besides.
        peepholes: Vectors of one value per unit through which gates see the cell.
        scales: Vectors of one value per unit that normalise gates.
        projection_bias: Whether the projection has a bias.
        joined: Whether one kernel reads inputs and state side by side.
    """

    name: str
    inputs: int
    units: int
    gates: int
    carried: int
    biases: int
    projected: bool
    candidate_biases: int = 0
    peepholes: int = 0
    scales: int = 0
    projection_bias: bool = False
    joined: bool = False

    @property
    def sizes(self) -> tuple[object, ...]:
        """What makes two cells equal."""
        return (
            self.inputs, self.units, self.gates, self.carried, self.biases, self.projected, self.candidate_biases,
            self.peepholes, self.scales, self.projection_bias,
        )  # fmt: skip

    @property
    def bias_values(self) -> int:
        """Values in one bias vector of all gates."""
        return self.gates * self.units

    @property
    def held_biases(self) -> int:
        """Values in all biases of the gates."""
        return self.biases * self.bias_values + self.candidate_biases * self.units
