"""What the text, CSV and Markdown views say of a layer and a weight, in words; knows the report, no layout."""

from __future__ import annotations

from collections.abc import Iterable

from service.tree import Layer, Report, Shape, Weight


def shape_text(shape: Shape | None) -> str:
    """`(None, 64, 64, 32)`, as Keras prints it; `?` if unknown."""
    if shape is None:
        return "?"
    return f"({', '.join(str(size) for size in shape)}{',' if len(shape) == 1 else ''})"


def shapes_text(shapes: Iterable[Shape] | None) -> str:
    """One or several shapes; `?` if unknown."""
    return "?" if shapes is None else ", ".join(shape_text(shape) for shape in shapes) or "-"


def count_text(value: int | None) -> str:
    """Thousands separated; `?` if unknown."""
    return "?" if value is None else f"{value:,}"


def bytes_text(value: int | None) -> str:
    """A size in the unit a person would use; `?` if unknown."""
    if value is None:
        return "?"
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{value} B" if unit == "B" else f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} TiB"


def trained_text(weight: Weight) -> str:
    """Whether gradient descent changes the weight: `trained`, `frozen`, `not trained`, `unknown`."""
    if weight.group == "frozen":
        return "frozen"
    return {True: "trained", False: "not trained", None: "unknown"}[weight.trainable]


def weight_text(weight: Weight) -> str:
    """`kernel (3, 3, 1, 32) trained`, with the role where the name does not say it."""
    role = "" if weight.role in (weight.name, weight.name.rpartition("/")[2]) else f" [{weight.role}]"
    tied = f" = {weight.tied_to}" if weight.tied_to else ""
    return f"{weight.name}{role} {shape_text(weight.shape)} {trained_text(weight)}{tied}"


def layer_count(layer: Layer, framework: str) -> int | None:
    """What the layer's own framework prints as its parameter count (Keras counts statistics, PyTorch does not)."""
    if layer.counts is None:
        return None
    parameters, statistics = layer.counts.parameters, layer.counts.statistics
    if framework == "torch" or parameters is None or statistics is None:
        return parameters
    return parameters + statistics


def depth(layer: Layer, parents: dict[str, str | None]) -> int:
    """How many layers contain this one."""
    level, at = 0, layer.parent
    while at is not None:
        level, at = level + 1, parents.get(at)
    return level


def parents_of(report: Report) -> dict[str, str | None]:
    """Each layer's parent by path."""
    return {layer.path: layer.parent for layer in report.layers}


def type_text(layer: Layer) -> str:
    """The class, or the kind in brackets where the file does not name one."""
    return layer.type or f"[{layer.kind}]"


def title(report: Report) -> str:
    """`sequential (keras_v3, Keras 3.15.1)`."""
    model = report.model
    version = f" {model.framework_version}" if model.framework_version else ""
    name = model.name or model.type or "model"
    return f"{name} ({model.format}, {model.framework.capitalize()}{version})"


def total_lines(report: Report) -> list[tuple[str, str]]:
    """The totals a person looks for, label and value."""
    totals = report.totals
    lines = [
        ("Parameters", count_text(totals.parameters)),
        ("  trainable", count_text(totals.trainable)),
        ("  frozen", count_text(totals.frozen)),
        ("  unknown whether trained", count_text(totals.unknown)),
        ("Statistics (never trained)", count_text(totals.statistics)),
        ("Optimizer", count_text(totals.optimizer)),
        ("EMA copy", count_text(totals.ema)),
        ("Other", count_text(totals.other)),
        ("Bytes", bytes_text(totals.bytes.total)),
    ]
    return [(label, value) for label, value in lines if value != "0" or label == "Parameters"]
