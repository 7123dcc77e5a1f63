"""Memory of exported programs, held against the storages that PyTorch itself fills when it runs their graphs."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from service.costs import Memory
from service.tree import Model
from tests.enriching import add_costs
from tests.service.enrich.cost.tools import folder, measured, read, total

PROGRAMS = sorted(measured("torch", "programs"))


def program(name: str) -> Model:
    """An exported program of the driver."""
    return read(folder("torch", "programs") / f"{name}.pt2")


def memory(model: Model, batch: int) -> dict[str, Memory]:
    """Memory by scenario."""
    return {one.scenario: one for one in total(add_costs(model, batch)).memory}


def changed(model: Model, **tags: Any) -> Model:
    """With other tags."""
    return msgspec.structs.replace(model, info=msgspec.structs.replace(model.info, tags={**model.info.tags, **tags}))


@pytest.mark.parametrize("name", PROGRAMS)
def test_activations_are_the_storages_that_pytorch_fills(name: str) -> None:
    """Functions between layers, copies, views and steps in place: to the byte, kept for training and alive at once."""
    facts = measured("torch", "programs")[name]
    found = memory(program(name), facts["batch"])
    assert found["train_sgd"].parts["activations"] == facts["kept"]
    assert found["serve"].parts["activations"] == facts["live"]


def test_a_program_of_layers_alone_needs_no_tag() -> None:
    """Where no operation stands between the layers, theirs is all there is; where one does, the graph's is."""
    found = {name: "activations" in program(name).info.tags for name in PROGRAMS}
    assert found == {"attention": True, "flat": False, "functional": True, "reader": True}


def test_only_fused_operations_hold_more_inside() -> None:
    """Attention of plain matrix products is all in the graph; what a GRU holds while it runs is not."""
    assert memory(program("attention"), 3)["train_adam"].bytes.status == "complete"
    held = memory(program("reader"), 3)["train_adam"].bytes
    assert held.status == "partial"
    assert any("scores, gates" in str(note) for note in held.assumptions)


def test_sizes_that_the_file_leaves_open_are_said() -> None:
    """Sequences of any length: whatever is known of the layers is partial."""
    assert program("open_steps").info.tags["activations"] == {"unknown": True}
    hidden = changed(program("functional"), activations={"unknown": True})
    for one in memory(hidden, 3).values():
        assert one.bytes.status == "partial"
        assert any("operations between the layers" in str(note) for note in one.bytes.assumptions)


@pytest.mark.parametrize(
    "forged",
    [
        {"kept_bytes": [-1, 0], "kept_elements": [1, 1], "live_bytes": [[1, 1]]},
        {"kept_bytes": [True, 0], "kept_elements": [1, 1], "live_bytes": [[1, 1]]},
        {"kept_bytes": [2**200, 0], "kept_elements": [1, 1], "live_bytes": [[1, 1]]},
        {"kept_bytes": [1, 1], "kept_elements": [1], "live_bytes": [[1, 1]]},
        {"kept_bytes": [1, 1], "kept_elements": [1, 1], "live_bytes": [[1, 1], None]},
        {"kept_bytes": [1, 1], "kept_elements": [1, 1], "live_bytes": {}},
        {},
    ],
)
def test_amounts_that_cannot_be_are_not_taken(forged: dict[str, Any]) -> None:
    """A tag of the wrong shape leaves the layers' numbers, and says that more lives."""
    assert memory(changed(program("functional"), activations=forged), 3)["serve"].bytes.status == "partial"


def test_several_programs_in_a_file_are_not_added_up() -> None:
    """Their tags stand one below the other: what lives between their layers is said to be left out."""
    found = program("functional")
    tags = {"first": {"activations": found.info.tags["activations"]}}
    several = msgspec.structs.replace(found, info=msgspec.structs.replace(found.info, tags=tags))
    assert memory(several, 3)["serve"].bytes.status == "partial"
