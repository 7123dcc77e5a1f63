"""TorchScript archives (torch.jit.save, mobile .ptl): objects from `data.pkl`, their classes from `code/` as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.catalog.torch_dangers import dangers_of
from service.catalog.torch_model import Description
from service.catalog.torch_modules import ModuleParts, layers_of, parts_of
from service.catalog.torch_packed import is_opaque
from service.catalog.torch_report import build
from service.catalog.torch_storage import Storage, persistent
from service.catalog.torch_tensors import is_tensor, tensor_of
from service.catalog.torch_values import attributes_of, key_text, sequence_of
from service.catalog.torch_weights import Label, Place, Weigher
from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.pickle_opcodes import run
from service.parsers.pickle_types import Instance, Trace
from service.parsers.torchscript import ScriptClass, dangers_in, module_name, original_class, parse_classes
from service.parsers.zip import ZipArchive, is_zip, open_zip
from service.plain import text
from service.source import BytesSource
from service.tree import Danger, Layer, Model, ModelInfo

FORMAT = Format(
    id="torchscript",
    framework="torch",
    title=msg("TorchScript (torch.jit.save, PyTorch Mobile)"),
    extensions=(".pt", ".pth", ".ptl", ".zip"),
    reads=msg("module tree, classes, parameters and buffers, requires_grad, constants of frozen models"),
    leaves=msg(
        "the weights' values, unless statistics or a comparison of values ask for them; the graph inside the methods"
    ),
    priority=45,
)

_MAX_PICKLE = 64 << 20
_MAX_CODE = 32 << 20
"""Most bytes of class text read of one archive."""
_MAX_SMALL = 256
_CONSTANTS = "constants"
_CALLS = {
    f"torch.jit._pickle.{name}": lambda args: args[0]
    for name in ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist", "restore_type_tag")
}
"""Calls by which TorchScript tags plain lists and dictionaries with a type."""
FROZEN_NOTE = msg(
    "The model was frozen: its weights became constants of the code, so their names and layers are gone. They are "
    "listed as CONSTANTS in the order the code numbers them; normalisations may be folded into them."
)


def accept(upload: Upload) -> bool:
    """A zip with `data.pkl` and `constants.pkl` side by side."""
    source = upload.single
    if source is None or not is_zip(source):
        return False
    try:
        return _prefix(open_zip(source)) is not None
    except InputError:
        return False


def _prefix(archive: ZipArchive) -> str | None:
    for name in archive.names:
        prefix, _, last = name.rpartition("/")
        if last == "constants.pkl" and "/" not in prefix:
            start = f"{prefix}/" if prefix else ""
            return start if f"{start}data.pkl" in archive else None
    return None


@dataclass(slots=True)
class _Archive:
    """The archive, its prefix, and what its pickles and code could do."""

    zip: ZipArchive
    prefix: str
    limits: Limits
    dangers: list[Danger]

    def pickle(self, name: str) -> Trace:
        """One of the archive's pickles, run over stand-ins; storages of constants get keys of their own."""
        member = f"{self.prefix}{name}"
        source = BytesSource(self.zip.read(member, _MAX_PICKLE), self.zip.source.meter)
        trace = run(source, 0, self.limits, _constant_id if name == "constants.pkl" else persistent, _CALLS)
        self.dangers.extend(dangers_of(trace, source, self.limits, member))
        if trace.broken is not None:
            trace.broken.within(member)
        return trace

    def locate(self, storage: Storage) -> Place | None:
        """`data/<key>`, or `constants/<key>` for constants and where a mobile file keeps both there."""
        key = str(storage.key)
        for name in (f"{self.prefix}data/{key}", f"{self.prefix}{key}", f"{self.prefix}{_CONSTANTS}/{key}"):
            member = self.zip.members.get(name)
            if member is not None:
                return Place(text(member.name), 0, member.size)
        return None


def _constant_id(persistent_id: Any, offset: int) -> Any:
    found = persistent(persistent_id, offset)
    return replace(found, key=f"{_CONSTANTS}/{found.key}") if isinstance(found, Storage) else found


def read(upload: Upload) -> Model:
    """The module tree inside.

    Raises:
        MalformedFile: A pickle is broken, or its root is no module.
        LimitExceeded: More class text, layers or weights than allowed.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A TorchScript file is a single file."))
    found = open_zip(source)
    prefix = _prefix(found)
    if prefix is None:
        raise MalformedFile(msg("The archive holds no data.pkl beside a constants.pkl."))
    archive = _Archive(found, prefix, upload.limits, [])
    classes = _classes(archive)
    root, constants = archive.pickle("data.pkl"), archive.pickle("constants.pkl")
    for name in ("bytecode.pkl", "traced_inputs.pkl", "attributes.pkl"):
        if f"{prefix}{name}" in found:
            archive.pickle(name)
    weigher = Weigher(archive.locate, upload.limits)

    def look() -> tuple[Description, list[Danger]]:
        return _describe(root.value, constants.value, classes, weigher, upload.limits), weigher.dangers

    return build(_info(archive), root.broken or constants.broken, [*found.anomalies, *archive.dangers], look)


# Classes


def _classes(archive: _Archive) -> dict[str, ScriptClass]:
    """Every class of `code/`, by its qualified name; dangers of the code are noted on the way."""
    classes: dict[str, ScriptClass] = {}
    left = _MAX_CODE
    for name in archive.zip.names:
        member = name.removeprefix(archive.prefix)
        if not member.startswith("code/") or not member.endswith(".py"):
            continue
        left -= archive.zip.members[name].size
        if left < 0:
            raise LimitExceeded(
                "code_bytes", _MAX_CODE, msg("The archive holds more TorchScript code than is read."), member=text(name)
            )
        code = archive.zip.read(name, _MAX_CODE).decode("utf-8", "replace")
        archive.dangers.extend(dangers_in(code, text(name)))
        classes.update((found.name, found) for found in parse_classes(code, module_name(member)))
    return classes


# Modules


def _describe(
    root: Any, constants: Any, classes: Mapping[str, ScriptClass], weigher: Weigher, limits: Limits
) -> Description:
    found = Description()

    def look(value: Any) -> ModuleParts | None:
        return _parts(value, classes) if isinstance(value, Instance) else None

    parts = look(root)
    if parts is None:
        raise MalformedFile(msg("data.pkl does not hold a module."))
    found.type = None if parts.type is None else text(parts.type)
    found.layers = layers_of(root, weigher, limits, look=look)
    frozen = not any(weight.group in ("trainable", "frozen") for layer in found.layers for weight in layer.weights)
    constant = _constants_layer(constants, weigher, frozen=frozen)
    if constant is not None:
        found.layers.append(constant)
        if frozen:
            found.notes.append(FROZEN_NOTE)
    found.findings.extend(weigher.findings())
    return found


def _parts(value: Instance, classes: Mapping[str, ScriptClass]) -> ModuleParts | None:
    """A script object's parts; a plain `nn.Module` pickled inside is one too."""
    path = value.path
    if not path.startswith("__torch__.") or is_opaque(value):
        return parts_of(value)
    declared = classes.get(path)
    held = attributes_of(value) or {}
    if declared is not None and declared.base != "Module":
        return None
    name, module = original_class(path)
    modules = {key: item for key, item in held.items() if _is_submodule(item, classes)}
    tensors = {key: item for key, item in held.items() if is_tensor(item)}
    plain = {key: item for key, item in held.items() if key not in modules and key not in tensors and item is not None}
    parameters, buffers, rest = _sorted_tensors(tensors, declared)
    constants = declared.constants if declared is not None else {}
    return ModuleParts(name, module, {**constants, **plain}, modules, parameters, buffers, rest)


def _is_submodule(value: Any, classes: Mapping[str, ScriptClass]) -> bool:
    if not isinstance(value, Instance) or not value.path.startswith("__torch__.") or is_opaque(value):
        return False
    declared = classes.get(value.path)
    return declared.base == "Module" if declared is not None else attributes_of(value) is not None


def _sorted_tensors(
    tensors: Mapping[Any, Any], declared: ScriptClass | None
) -> tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any]]:
    """Parameters, buffers, others; without a declaration only what requires a gradient is surely a parameter."""
    parameters: dict[Any, Any] = {}
    buffers: dict[Any, Any] = {}
    rest: dict[Any, Any] = {}
    for name, value in tensors.items():
        tensor = tensor_of(value)
        if name in declared.parameters if declared is not None else tensor is not None and tensor.requires_grad:
            parameters[name] = value
        else:
            (buffers if declared is not None and name in declared.buffers else rest)[name] = value
    return parameters, buffers, rest


def _constants_layer(value: Any, weigher: Weigher, *, frozen: bool) -> Layer | None:
    """The tensors of constants.pkl, which the code calls CONSTANTS.c0, c1 ..."""
    weights = [
        weigher.weight(
            tensor, Label("CONSTANTS", f"c{index}", "constant", "frozen" if frozen else "other", False, "rule")
        )
        for index, tensor in _constant_tensors(value)
    ]
    if not weights:
        return None
    return Layer(path="CONSTANTS", name="CONSTANTS", kind="parameter", type_source="unknown", weights=tuple(weights))


def _constant_tensors(value: Any) -> Iterator[tuple[int, Any]]:
    for index, item in enumerate(sequence_of(value) or ()):
        tensor = tensor_of(item) if is_tensor(item) else None
        if tensor is not None:
            yield index, tensor


def _info(archive: _Archive) -> ModelInfo:
    zipped, prefix = archive.zip, archive.prefix
    small = {
        name: text(zipped.read(f"{prefix}{name}", _MAX_SMALL).decode("utf-8", "replace").strip())
        for name in ("version", "byteorder")
        if f"{prefix}{name}" in zipped and zipped.members[f"{prefix}{name}"].size <= _MAX_SMALL
    }
    tags: dict[str, Any] = {"mobile": True} if f"{prefix}bytecode.pkl" in zipped else {}
    extra = [
        key_text(name.removeprefix(f"{prefix}extra/")) for name in zipped.names if name.startswith(f"{prefix}extra/")
    ]
    if extra:
        tags["extra_files"] = extra[:100]
    if "byteorder" in small:
        tags["byteorder"] = small["byteorder"]
    return ModelInfo(
        format=FORMAT.id, framework=FORMAT.framework, format_version=small.get("version"), tags=tags,
        members=tuple(text(name, 500) for name in zipped.names[:1000]),
    )  # fmt: skip
