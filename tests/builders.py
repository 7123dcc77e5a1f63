"""Short ways to write models down in tests; no expectations in here."""

from __future__ import annotations

from typing import Any

from service.tree import SCHEMA_VERSION, Confinement, Layer, Model, ModelInfo, Provenance, Report, Weight, element_count


def weight(
    name: str, shape: tuple[int | None, ...] | None, role: str = "weight", group: str = "trainable", **more: Any
) -> Weight:
    """A float32 weight whose count and bytes follow from its shape."""
    count = element_count(shape)
    known: dict[str, Any] = {
        "dtype": "float32", "count": count, "bytes": None if count is None else 4 * count,
        "trainable": {"trainable": True, "unknown": None}.get(group, False), "trainable_source": "recorded",
    }  # fmt: skip
    return Weight(name=name, role=role, shape=shape, group=group, **{**known, **more})  # type: ignore[arg-type]


def layer(path: str, kind: str, *weights: Weight, **more: Any) -> Layer:
    """A layer whose name is the last step of its path."""
    return Layer(path=path, name=path.replace("/", ".").rpartition(".")[2], kind=kind, weights=weights, **more)


def model(framework: str, *layers: Layer, **more: Any) -> Model:
    """A model of no particular format."""
    return Model(info=ModelInfo(format="test", framework=framework, name="a model"), layers=layers, **more)


def report(made: Model) -> Report:
    """The report of an enriched model."""
    assert made.totals is not None
    return Report(
        schema_version=SCHEMA_VERSION,
        model=made.info,
        complete=made.complete,
        layers=made.layers,
        totals=made.totals,
        counted_as=made.counted_as,
        states=made.states,
        security=made.security,
        findings=made.findings,
        notes=made.notes,
        blocks=made.blocks,
        cost=made.cost,
        rules=made.rules,
        provenance=Provenance(
            reader="test",
            method="static",
            version="0",
            seconds=0.0,
            bytes_read=0,
            confinement=Confinement(confined=True, layers={}),
        ),
    )
