"""Weights of OpenVINO IRs before version 10: bytes listed below a layer, without shape; knows what follows for one.

The number of values follows from the bytes and the element type; the shape from the layer's own settings, where their
product is that number.
"""

from __future__ import annotations

from service.catalog.openvino_constants import Leaf
from service.catalog.openvino_graph import Blob, Op
from service.catalog.openvino_ops import OLD_USES, Use, bits_of, dtype_of, kernel_layout
from service.catalog.openvino_weights import Weigher
from service.tree import Shape, Weight, element_count

_MATRICES = frozenset({"FullyConnected", "InnerProduct"})
_CONVOLUTIONS = frozenset({"Convolution", "Deconvolution", "DeformableConvolution"})


def old_weights(op: Op, path: str, weigher: Weigher) -> list[Weight]:
    """The weights of a layer with blobs, in their order."""
    made: list[Weight] = []
    for blob in op.blobs:
        dtype = dtype_of(blob.precision or op.precision or (op.outputs[0].precision if op.outputs else None))
        use = OLD_USES.get(op.type, {}).get(blob.name) or _use(op, blob)
        shape = _shape(op, use, blob, dtype)
        layout = kernel_layout(op.type, len(shape)) if use.role == "kernel" and op.type in _CONVOLUTIONS else None
        if use.role == "kernel" and op.type in _MATRICES:
            layout = "out-in"
        stored = Op(op.id, f"{op.name}/{blob.name}", op.type, op.version, op.precision,
                    {"element_type": dtype or "", "offset": str(blob.offset), "size": str(blob.size),
                     "shape": ",".join(map(str, shape))})  # fmt: skip
        made.append(weigher.weigh(Leaf(stored, "value", "", shape), use, path, shape=shape, layout=layout))
    return made


def _use(op: Op, blob: Blob) -> Use:
    if op.type == "Const":
        return Use("constant", "value") if (dtype_of(op.precision) or "").startswith("int") else Use("weight", "value")
    if blob.name == "biases":
        return Use("bias", "biases")
    return Use("kernel", "weights") if blob.name == "weights" else Use("weight", blob.name[:100])


def _shape(op: Op, use: Use, blob: Blob, dtype: str | None) -> Shape:
    bits = bits_of(dtype)
    if not bits:
        return (None,)
    count = blob.size * 8 // bits
    found = _expected(op, use)
    return found if found is not None and element_count(found) == count else (count,)


def _expected(op: Op, use: Use) -> Shape | None:
    """The shape that the layer's settings give its kernel; None where they do not tell."""
    if op.type == "Const":
        return op.outputs[0].dims if op.outputs else None
    inputs = op.inputs[0].dims if op.inputs else ()
    channels = inputs[1] if len(inputs) > 1 else None
    if use.role != "kernel" or channels is None:
        return None
    if op.type in _MATRICES:
        units = _whole(op, "out-size")
        return None if units is None else (units, element_count(inputs[1:]))
    outputs, groups = _whole(op, "output"), _whole(op, "group") or 1
    window = _window(op)
    if op.type not in _CONVOLUTIONS or outputs is None or window is None:
        return None
    first, second = (channels, outputs) if op.type == "Deconvolution" else (outputs, channels)
    return (first, second // groups, *window)


def _window(op: Op) -> tuple[int, ...] | None:
    written = op.data.get("kernel")
    sizes = written.split(",") if written else [op.data.get("kernel-y", ""), op.data.get("kernel-x", "")]
    stripped = [size.strip() for size in sizes]
    known = all(size.isascii() and size.isdigit() and len(size) < 10 for size in stripped)
    return tuple(int(size) for size in stripped) if known else None


def _whole(op: Op, name: str) -> int | None:
    written = op.data.get(name, "").strip()
    return int(written) if written.isascii() and written.isdigit() and len(written) < 18 else None
