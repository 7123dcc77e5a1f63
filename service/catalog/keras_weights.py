"""Makes a report's weights from stored variables: role, layout, group and why; knows Keras' rules of trainability.

Must not know how the variable was found in the file.
"""

from __future__ import annotations

from service.catalog.keras_variables import STATISTICS, UNMISTAKABLE, Config, Variables, layout_of, role_of
from service.parsers.hdf5 import Dataset
from service.plain import text
from service.tree import Frozen, Group, Location, Shape, Source, Weight, element_count

_PACKED = frozenset({"kernel", "embeddings", "reverse_embeddings"})
_QUANTIZED = frozenset({"int8", "int4", "gptq", "awq"})


class Owner(Frozen, frozen=True, kw_only=True):
    """What is known of the layer that owns a variable itself.

    Attributes:
        class_name: The class, None if it is not known.
        known: Whether the variables' names are Keras' own, so that statistics can be told by name.
        trainable: The layer's switch and that of everything around it; None if the file does not say.
        mode: Quantization mode, None if not quantized.
        packed_size: Logical length of the packed axis of an int4 variable, None if not packed or unknown.
        lora: Whether a low-rank pair was merged into the kernel when it was saved.
    """

    class_name: str | None
    known: bool
    trainable: bool | None
    mode: str | None = None
    packed_size: int | None = None
    lora: bool = False


def owner_of(
    class_name: str | None, config: Config, rule: Variables | None, trainable: bool | None, scale: Shape | None
) -> Owner:
    """The owner of a layer's own variables.

    `rule` is None if their names are not known, `scale` the shape of `kernel_scale` where there is one.
    """
    mode = rule.mode if rule is not None else None
    packed = _packed_size(class_name, config, mode, scale) if mode in ("int4", "gptq", "awq") else None
    return Owner(
        class_name=class_name,
        known=rule is not None,
        trainable=trainable,
        mode=mode,
        packed_size=packed,
        lora=bool(config.get("lora_rank")),
    )


def _packed_size(class_name: str | None, config: Config, mode: str | None, scale: Shape | None) -> int | None:
    """Logical length of the axis along which values are packed: configured, or that of the kernel's scales."""
    size = config.get("units" if class_name == "Dense" else "output_dim")
    if type(size) is int:
        return size
    return scale[-1 if mode == "int4" else 0] if scale else None


def make_weight(dataset: Dataset, name: str, owner: Owner, member: str | None) -> Weight:
    """The weight stored as `dataset`, called `name` relative to its layer."""
    local = name.rsplit("/", 1)[-1]
    role = role_of(name, owner.class_name) if owner.known else _role_by_name(name)
    group, trainable, source = _learns(local, owner, dataset.dtype)
    shape, dtype, stored_count = _logical(dataset, local, owner)
    return Weight(
        name=text(name),
        role=role,
        shape=shape,
        dtype=dtype,
        count=element_count(shape),
        stored_count=stored_count,
        bytes=_size(dataset),
        group=group,
        trainable=trainable,
        trainable_source=source,
        stored_as=dataset.path,
        layout=layout_of(owner.class_name, role, None if shape is None else len(shape)) if owner.known else None,
        location=Location(member=member, offset=dataset.offset, length=dataset.stored),
    )


def _role_by_name(name: str) -> str:
    local = name.rsplit("/", 1)[-1]
    return role_of(local) if local in UNMISTAKABLE else "weight"


def _learns(local: str, owner: Owner, dtype: str | None) -> tuple[Group, bool | None, Source]:
    if local in UNMISTAKABLE or (owner.known and local in STATISTICS and owner.mode != "float8"):
        return "statistic", False, "rule"  # in float8 training Keras updates scales like any weight
    if owner.mode in _QUANTIZED and local in _PACKED:
        return "frozen", False, "rule"
    if owner.lora and local in ("kernel", "embeddings"):
        return "frozen", False, "rule"
    if not owner.known and dtype is not None and not dtype.startswith(("float", "bfloat", "complex")):
        return "statistic", False, "rule"
    if owner.trainable is None or (owner.trainable and not owner.known):
        return "unknown", None, "unknown"
    return ("trainable", True, "recorded") if owner.trainable else ("frozen", False, "recorded")


def _logical(dataset: Dataset, local: str, owner: Owner) -> tuple[Shape | None, str | None, int | None]:
    """Shape and type as meant, and the stored count where two int4 values share a byte."""
    if owner.packed_size is None or local not in _PACKED or not dataset.shape:
        return dataset.shape, dataset.dtype, None
    axis = 0 if local == "reverse_embeddings" or owner.mode in ("gptq", "awq") else len(dataset.shape) - 1
    if dataset.shape[axis] != (owner.packed_size + 1) // 2:
        return dataset.shape, dataset.dtype, None
    shape = (*dataset.shape[:axis], owner.packed_size, *dataset.shape[axis + 1 :])
    return shape, "uint4" if owner.mode in ("gptq", "awq") else "int4", element_count(dataset.shape)


def _size(dataset: Dataset) -> int | None:
    """Bytes the values take; a compressed dataset takes fewer in the file, see its location."""
    count = element_count(dataset.shape)
    return None if count is None or dataset.itemsize is None else count * dataset.itemsize
