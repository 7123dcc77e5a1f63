"""Layers are delivered as they are finished, and are those that the model would have kept."""

from __future__ import annotations

import msgspec
import pytest

from service.enrich import sharing
from service.enrich.pipeline import enrich
from tests.builders import layer, model, weight


def made():
    """Layers of two sorts, one of each twice, one of its own, and one without weights."""
    kernels = [weight("weight", (8, inputs), "kernel", layout="out-in") for inputs in (4, 5, 4, 5, 6)]
    return model("torch", *(layer(f"l{at}", "linear", one) for at, one in enumerate(kernels)), layer("end", "pool"))


@pytest.mark.parametrize("many", [3, 100])
def test_layers_are_delivered_one_by_one(monkeypatch, many):
    """In order, whole; the model keeps those that are given back, and all else is the same."""
    monkeypatch.setattr(sharing, "MANY", many)
    whole, seen = enrich(made()), []
    kept = enrich(made(), lambda layers: tuple(seen.append(one) or one for one in layers if one.path != "l1"))
    assert [one.like for one in whole.layers] == ([None, None, "l0", "l1", None, None] if many == 3 else [None] * 6)
    assert tuple(seen) == kept.layers == tuple(one for one in whole.layers if one.path != "l1")
    assert msgspec.structs.replace(kept, layers=whole.layers) == whole


def test_findings_of_explanations_are_told_before_those_of_rules():
    """Though the layers that they are about may not be there any more."""
    odd = layer("d", "linear", weight("kernel", (4, 4), "kernel"), weight("extra", (7,), "weight"), type="Dense",
                config={"units": 4})  # fmt: skip
    found = enrich(model("keras", odd), lambda layers: tuple(layers)[:0])
    assert found.layers == ()
    assert [one.path for one in found.findings if one.rule == "formula_mismatch"] == ["d"]
