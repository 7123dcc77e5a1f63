"""Tensors as PyTorch and NumPy pickle them, in every form, as one inert description; knows no layer and no file.

Sources: torch/_utils.py (`_rebuild_*`), torch/_tensor.py (`__reduce_ex__`), numpy/core/multiarray (`_reconstruct`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

from service.catalog.torch_dtypes import from_numpy_code, from_torch_name, stored_bytes
from service.catalog.torch_storage import Storage, is_size, sizes, sizes_or_none, storage_of
from service.catalog.torch_values import bytes_of, number_of, numpy_code
from service.errors import MalformedFile
from service.language import Message, mark, msg
from service.parsers.pickle_types import Blob, Global, Instance
from service.tree import element_count

_MAX_WRAPPERS = 8
"""Parameter around subclass around tensor ... deeper than this is nothing that PyTorch writes."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor.

    Attributes:
        shape: None where it is not stored as numbers (lazy, nested).
        dtype: Element type.
        identity: Equal for two tensors that are the same view of the same storage, or the same object.
        form: strided, quantized, sparse, nested, meta, lazy, array, subclass.
        requires_grad: As recorded, None if not.
        is_parameter: Whether it was an `nn.Parameter`.
        storage, offset, stride: The view, in elements; None where there is no single storage.
        extent: Elements of the storage from the first to the last that the view touches.
        stored: Elements really stored (at most, where axes overlap), where the product of the shape differs.
        bytes: Stored size, None if unknown.
        parts: Other tensors that belong to it (indices, scales ...).
        facts: What else was written: quantisation scheme, subclass.
    """

    shape: tuple[int, ...] | None
    dtype: str | None
    identity: Hashable
    form: str = "strided"
    requires_grad: bool | None = None
    is_parameter: bool = False
    storage: Storage | None = None
    offset: int = 0
    stride: tuple[int, ...] | None = None
    extent: int | None = None
    stored: int | None = None
    bytes: int | None = None
    parts: tuple[tuple[str, Tensor], ...] = ()
    facts: tuple[tuple[str, Any], ...] = ()

    @property
    def count(self) -> int | None:
        """Logical number of elements."""
        return element_count(self.shape)


def is_tensor(value: Any) -> bool:
    """Whether `tensor_of` would find one; cheap enough to ask for every value of a file."""
    if isinstance(value, Tensor):
        return True
    return isinstance(value, Instance) and isinstance(value.maker, Global) and value.path in _REBUILDERS


def tensor_of(value: Any) -> Tensor | None:
    """The tensor that `value` stands for, or None if it is not one.

    Raises:
        MalformedFile: It is one, with arguments that cannot be.
    """
    wrappers: list[Instance] = []
    while isinstance(value, Instance) and value.path in _WRAPPERS and len(wrappers) < _MAX_WRAPPERS:
        inner = _WRAPPERS[value.path](value)
        if inner is None:
            break
        wrappers.append(value)
        value = inner
    found = value if isinstance(value, Tensor) else _rebuild(value)
    if found is None:
        return None
    for wrapper in reversed(wrappers):
        found = _as_parameter(found, wrapper)
    return found


def _rebuild(value: Any) -> Tensor | None:
    if not isinstance(value, Instance) or not isinstance(value.maker, Global):
        return None
    make = _PLAIN.get(value.path)
    if make is None:
        return None
    try:
        return make(value)
    except (IndexError, TypeError, ValueError) as error:
        reason = Message(str(error)[:100])
        detail = msg("A tensor's description ({path}) is not complete: {error}.", path=value.path, error=reason)
        raise MalformedFile(detail, offset=value.offset) from None


# Wrappers: a tensor inside something that only adds to it


def _first_argument(value: Instance) -> Any:
    first = value.positional[0] if value.positional else None
    return None if isinstance(first, bool) else first


def _typed_call(value: Instance) -> Any:
    """`_rebuild_from_type_v2(function, type, args, state)`: the call it will make."""
    if len(value.positional) < 3 or not isinstance(value.positional[0], Global):
        return None
    return Instance(value.positional[0], value.positional[2], None, "called", value.offset)


def _as_parameter(tensor: Tensor, wrapper: Instance) -> Tensor:
    if wrapper.path.endswith(("_rebuild_from_type_v2", "_rebuild_from_type")):
        return _with_subclass(tensor, wrapper)
    if wrapper.path in _VARIABLES:
        return replace(tensor, is_parameter=wrapper.path != _BARE_VARIABLE, requires_grad=_old_flag(wrapper))
    flag = wrapper.positional[1] if len(wrapper.positional) > 1 else None
    return replace(tensor, is_parameter=True, requires_grad=flag if isinstance(flag, bool) else None)


def _with_subclass(tensor: Tensor, wrapper: Instance) -> Tensor:
    kind, state = wrapper.positional[1], wrapper.positional[3] if len(wrapper.positional) > 3 else None
    path = kind.path if isinstance(kind, Global) else "?"
    if path in _PARAMETERS:
        return replace(tensor, is_parameter=True)
    if path == "torch.Tensor":
        return tensor
    parts = tuple(_inner_tensors(state))
    known = [part.bytes for _, part in parts]
    size = tensor.bytes if tensor.storage is not None else sum(n for n in known if n is not None) if parts else None
    return replace(tensor, form="subclass", parts=parts, bytes=size, facts=(*tensor.facts, ("subclass", path)))


def _inner(value: Any) -> Tensor | None:
    """A tensor inside another: strided, an array or without data, never again one made of others."""
    if isinstance(value, Instance) and value.path in _PARAMETER_CALLS:
        value = _first_argument(value)
    return _rebuild(value) if isinstance(value, Instance) and value.path in _SIMPLE else None


def _inner_tensors(state: Any) -> list[tuple[str, Tensor]]:
    """Tensors among a subclass's attributes; not those inside them, which no format puts there."""
    held = state[0] if isinstance(state, tuple) and state else state
    found: list[tuple[str, Tensor]] = []
    for name, item in held.items() if isinstance(held, dict) else ():
        inner = _inner(item) if isinstance(name, str) else None
        if inner is not None:
            found.append((name, inner))
    return found[:16]


def _old_flag(wrapper: Instance) -> bool | None:
    """requires_grad of a Variable: PyTorch 0.1 to 0.3 set it with BUILD, in one of two layouts."""
    state = wrapper.state
    if not isinstance(state, tuple) or not state:
        return None
    flag = state[3] if len(state) == 5 else state[0]
    return flag if isinstance(flag, bool) else None


# Rebuilders


def _strided(value: Instance) -> Tensor:
    """(storage, offset, size, stride[, requires_grad, hooks[, metadata]])."""
    args = value.positional
    flag = args[4] if len(args) > 4 and isinstance(args[4], bool) else None
    return view(storage_of(args[0]), args[1], args[2], args[3], requires_grad=flag)


def _strided_v3(value: Instance) -> Tensor:
    """(untyped storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])."""
    args = value.positional
    storage, dtype = storage_of(args[0]), _dtype(args[6])
    return view(
        storage, args[1], args[2], args[3], requires_grad=args[4] if isinstance(args[4], bool) else None, dtype=dtype
    )


def _quantized(value: Instance) -> Tensor:
    """(storage, offset, size, stride, (scheme, scale, zero_point[, axis]), requires_grad, hooks)."""
    args = value.positional
    base = view(
        storage_of(args[0]),
        args[1],
        args[2],
        args[3],
        requires_grad=args[5] if isinstance(args[5], bool) else None,
    )
    scheme, *rest = args[4]
    facts: list[tuple[str, Any]] = [("scheme", scheme.path if isinstance(scheme, Global) else "?")]
    parts: list[tuple[str, Tensor]] = []
    for name, item in zip(("scale", "zero_point", "axis"), rest, strict=False):
        inner = _inner(item)
        if inner is not None:
            parts.append((f"{name}s", inner))
        else:
            facts.append((name, number_of(item)))
    return replace(base, form="quantized", parts=tuple(parts), facts=tuple(facts))


def _sparse(value: Instance) -> Tensor:
    """(layout, (indices, values, size[, coalesced])) or (layout, (compressed, plain, values, size))."""
    args = value.positional
    layout, data = args[0], args[1]
    tensors = [(name, _inner(item)) for name, item in zip(("indices", "plain_indices", "values"), data, strict=False)]
    found = [(name, tensor) for name, tensor in tensors if tensor is not None]
    shape = next((shape for shape in map(sizes_or_none, data[2:]) if shape is not None), None)
    if shape is None or not found:
        raise ValueError(mark("no size or no values"))
    values = found[-1][1]
    stored = sum(tensor.count or 0 for _, tensor in found)
    known = [tensor.bytes for _, tensor in found]
    return Tensor(
        shape, values.dtype, ("object", value.offset), form="sparse", stored=stored,
        bytes=sum(n for n in known if n is not None) if None not in known else None,
        parts=(*found[:-1], ("values", values)), facts=(("layout", _layout_name(layout)),),
    )  # fmt: skip


def _layout_name(layout: Any) -> str:
    name = layout.positional[0] if isinstance(layout, Instance) and layout.positional else None
    if isinstance(name, str):
        return name[:64]
    return layout.path if isinstance(layout, Global) else "?"


def _nested(value: Instance) -> Tensor:
    """(buffer, sizes, strides, offsets): the sizes are themselves stored as tensor data."""
    args = value.positional
    buffer = _inner(args[0])
    if buffer is None:
        raise ValueError(mark("no buffer"))
    return Tensor(
        None,
        buffer.dtype,
        ("object", value.offset),
        form="nested",
        stored=buffer.count,
        bytes=buffer.bytes,
        parts=(("values", buffer),),
    )


def _meta(value: Instance) -> Tensor:
    """(dtype, size, stride, requires_grad): a shape without data."""
    args = value.positional
    flag = args[3] if isinstance(args[3], bool) else None
    return Tensor(
        sizes(args[1]), _dtype(args[0]), ("object", value.offset), form="meta", requires_grad=flag, stored=0, bytes=0
    )


def _subclass(value: Instance) -> Tensor:
    """(class, dtype, size, stride, storage_offset, layout, device, requires_grad): data is in its attributes."""
    args = value.positional
    flag = args[7] if len(args) > 7 and isinstance(args[7], bool) else None
    return Tensor(sizes(args[2]), _dtype(args[1]), ("object", value.offset), form="subclass", requires_grad=flag)


def _device(value: Instance) -> Tensor:
    """(data, dtype, device, requires_grad): the data as a CPU tensor or a NumPy array."""
    args = value.positional
    data = _inner(args[0])
    if data is None:
        raise ValueError(mark("no data"))
    return replace(
        data,
        dtype=_dtype(args[1]) or data.dtype,
        identity=("object", value.offset),
        requires_grad=args[3] if isinstance(args[3], bool) else None,
    )


def _lazy(value: Instance) -> Tensor:
    """An uninitialised parameter or buffer: no shape yet."""
    args = value.positional
    flag = args[0] if args and isinstance(args[0], bool) else None
    return Tensor(
        None,
        None,
        ("object", value.offset),
        form="lazy",
        requires_grad=flag,
        is_parameter=value.path.endswith("Parameter"),
        bytes=0,
    )


def _array(value: Instance) -> Tensor | None:
    """A NumPy array: `_reconstruct(ndarray, (0,), b"b")` with state (version, shape, dtype, fortran, data)."""
    state = value.state
    if not isinstance(state, tuple) or len(state) < 5:
        return None
    shape, code = sizes(state[1]), numpy_code(state[2])
    dtype = from_numpy_code(code[1:]) if code else None
    data = bytes_of(state[4])
    size = (
        state[4].length
        if isinstance(state[4], Blob) and not state[4].is_text
        else len(data)
        if data is not None
        else None
    )
    expected = stored_bytes(dtype, element_count(shape))
    return Tensor(
        shape, dtype or "object", ("object", value.offset), form="array", bytes=size if size is not None else expected
    )


def _frombuffer(value: Instance) -> Tensor:
    """NumPy's protocol 5 form: (data, dtype, shape, order)."""
    args = value.positional
    code, shape = numpy_code(args[1]), sizes(args[2])
    dtype = from_numpy_code(code[1:]) if code else None
    return Tensor(
        shape,
        dtype or "object",
        ("object", value.offset),
        form="array",
        bytes=stored_bytes(dtype, element_count(shape)),
    )


# Pieces


def view(
    storage: Storage, offset: Any, shape: Any, stride: Any, *, requires_grad: bool | None, dtype: str | None = None
) -> Tensor:
    """A strided view of a storage; ValueError for sizes that cannot be."""
    dims, steps = sizes(shape), sizes(stride)
    if not is_size(offset) or len(dims) != len(steps):
        raise ValueError(mark("offset, size and stride do not fit together"))
    offset += storage.base
    dtype = dtype or (storage.dtype if storage.dtype != "bytes" else None)
    count = element_count(dims) or 0
    extent = 1 + sum((size - 1) * step for size, step in zip(dims, steps, strict=True)) if count else 0
    apart = min(extent, element_count(tuple(size for size, step in zip(dims, steps, strict=True) if step)) or 0)
    stored = apart if apart < count else None
    return Tensor(
        dims, dtype, (storage.key, dtype, offset, dims, steps), requires_grad=requires_grad, storage=storage,
        offset=offset, stride=steps, extent=extent, stored=stored,
        bytes=stored_bytes(dtype, count if stored is None else stored),
    )  # fmt: skip


def _dtype(value: Any) -> str | None:
    return from_torch_name(value.path) if isinstance(value, Global) else None


_BARE_VARIABLE = "torch.autograd.variable.Variable"
_PARAMETERS = {"torch.nn.parameter.Parameter", "torch.nn.Parameter"}
_VARIABLES = {*_PARAMETERS, _BARE_VARIABLE, "torch.nn.parameter.Buffer"}

_PARAMETER_CALLS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}

_WRAPPERS: dict[str, Callable[[Instance], Any]] = {
    **dict.fromkeys(_PARAMETER_CALLS, _first_argument),
    "torch._tensor._rebuild_from_type_v2": _typed_call,
    "torch._tensor._rebuild_from_type": _typed_call,
    "torch.tensor._rebuild_from_type": _typed_call,
    **dict.fromkeys(_VARIABLES, _first_argument),
}

_PLAIN: dict[str, Callable[[Instance], Tensor | None]] = {
    "torch._utils._rebuild_tensor": _strided,
    "torch._utils._rebuild_tensor_v2": _strided,
    "torch._utils._rebuild_tensor_v3": _strided_v3,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_sparse_tensor": _sparse,
    "torch._utils._rebuild_sparse_csr_tensor": _sparse,
    "torch._utils._rebuild_nested_tensor": _nested,
    "torch._utils._rebuild_meta_tensor_no_storage": _meta,
    "torch._utils._rebuild_wrapper_subclass": _subclass,
    "torch._utils._rebuild_device_tensor_from_numpy": _device,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _device,
    "torch._utils._rebuild_xla_tensor": _device,
    "torch.nn.parameter.UninitializedParameter": _lazy,
    "torch.nn.parameter.UninitializedBuffer": _lazy,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy._core.numeric._frombuffer": _frombuffer,
}

_REBUILDERS = frozenset({*_PLAIN, *_WRAPPERS})
_SIMPLE = frozenset(
    path for path, make in _PLAIN.items() if make in (_strided, _strided_v3, _meta, _array, _frombuffer)
)
