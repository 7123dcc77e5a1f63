"""Networks inside networks of Core ML: the layers of branches and loops lie below them, with their own weights."""

from __future__ import annotations

from tests.service.catalog.coreml_models import layers, model, told


def test_branches_and_loops_hold_networks() -> None:
    """Containers named for what they are; inside them tensors of the network around are seen."""
    found = layers("branches.mlmodel")
    assert {name: found[path].parent for path in found if (name := path.rpartition("/")[2]) in told("branches")} == {
        "when_true": "choice/if", "when_false": "choice/else", "inside": "again/body",
    }  # fmt: skip
    assert {found[path].kind for path in ("choice/if", "choice/else", "again/condition", "again/body")} == {"container"}
    assert found["choice/if/when_true"].inputs == ("x",)
    assert (found["choice"].inputs, found["again"].config) == (("flag",), {"maxLoopIterations": 3})
    assert [weight.count for weight in found["choice/if/when_true"].weights] == [16, 4]
    totals = model("branches.mlmodel").totals
    assert totals is not None
    assert totals.parameters == 16 + 4 + 16 + 16
