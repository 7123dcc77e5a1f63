"""Tensors in every pickled form: those of today's PyTorch are in the corpus, here are the older and rarer ones."""

from __future__ import annotations

from typing import Any

import pytest

from service.catalog.torch_storage import Storage, persistent, sizes
from service.catalog.torch_tensors import Tensor, is_tensor, tensor_of
from service.errors import LimitExceeded, MalformedFile
from service.parsers.pickle_types import Global, Instance, Persistent


def named(path: str) -> Global:
    module, _, name = path.rpartition(".")
    return Global(module, name, 0)


def call(path: str, *args: Any, offset: int = 0, state: Any = None) -> Instance:
    made = Instance(named(path), args, None, "called", offset)
    made.state = state
    return made


STORAGE = Storage("7", "float32", 12)
PLAIN = call("torch._utils._rebuild_tensor", STORAGE, 0, (3, 4), (4, 1))


def found(value: Any) -> Tensor:
    tensor = tensor_of(value)
    assert tensor is not None
    return tensor


def test_the_form_before_0_4() -> None:
    """Four arguments, no word about gradients."""
    tensor = found(PLAIN)
    assert (tensor.shape, tensor.dtype, tensor.requires_grad, tensor.bytes) == ((3, 4), "float32", None, 48)


@pytest.mark.parametrize(
    ("state", "flag"), [((True, False, None), True), ((None, None, None, False, False), False), ((), None)]
)
def test_variables_and_parameters_of_0_1_to_0_3(state: tuple[Any, ...], flag: bool | None) -> None:
    """A Parameter was made of its data, and told by BUILD whether it learns, in one of two layouts."""
    tensor = found(call("torch.nn.parameter.Parameter", PLAIN, state=state))
    assert (tensor.is_parameter, tensor.requires_grad, tensor.shape) == (True, flag, (3, 4))
    assert found(call("torch.autograd.variable.Variable", PLAIN, state=state)).is_parameter is False


def test_a_parameter_with_state_and_a_subclass() -> None:
    """Both wrap the call that rebuilds the data."""
    stated = call("torch._utils._rebuild_parameter_with_state", PLAIN, False, None, {"note": 1})
    assert (found(stated).is_parameter, found(stated).requires_grad) == (True, False)
    args = (STORAGE, 0, (3, 4), (4, 1), False, None)
    subclass = call(
        "torch._tensor._rebuild_from_type_v2", named("torch._utils._rebuild_tensor_v2"), named("my.Tensor"), args, {}
    )
    assert (found(subclass).form, dict(found(subclass).facts)) == ("subclass", {"subclass": "my.Tensor"})


def test_a_wrapper_subclass_counts_what_it_wraps() -> None:
    """The shape is its own, the bytes are those of the tensors in its attributes."""
    args = (named("my.Quantized"), named("torch.bfloat16"), (8, 8), (8, 1), 0, None, None, True)
    whole = call(
        "torch._tensor._rebuild_from_type_v2",
        named("torch._utils._rebuild_wrapper_subclass"),
        named("my.Quantized"),
        args,
        {"_inner": PLAIN, "name": "x"},
    )
    tensor = found(whole)
    assert (tensor.shape, tensor.dtype, tensor.bytes, tensor.requires_grad) == ((8, 8), "bfloat16", 48, True)
    assert [name for name, _ in tensor.parts] == ["_inner"]


def test_tensors_of_other_devices_come_as_arrays() -> None:
    """XLA and others were saved as NumPy arrays with a type and a device."""
    code = call("numpy.dtype", "f8", False, True, state=(3, "<", None, None, None, -1, -1, 0))
    array = call(
        "numpy.core.multiarray._reconstruct",
        named("numpy.ndarray"),
        (0,),
        b"b",
        state=(1, (2, 3), code, False, bytes(48)),
    )
    assert (found(array).shape, found(array).dtype, found(array).bytes) == ((2, 3), "float64", 48)
    moved = call("torch._utils._rebuild_device_tensor_from_numpy", array, named("torch.float32"), "xla:0", True)
    assert (found(moved).shape, found(moved).dtype, found(moved).requires_grad) == ((2, 3), "float32", True)


def test_ragged_tensors_have_no_shape() -> None:
    """A nested tensor's sizes are data; its elements are counted all the same."""
    tensor = found(call("torch._utils._rebuild_nested_tensor", PLAIN, PLAIN, PLAIN, PLAIN))
    assert (tensor.form, tensor.shape, tensor.stored, tensor.bytes) == ("nested", None, 12, 48)


def test_views_are_equal_only_if_they_are_the_same_view() -> None:
    """Identity is storage, offset, shape, stride and type; without a storage it is the object."""
    same = call("torch._utils._rebuild_tensor_v2", STORAGE, 0, (3, 4), (4, 1), True, None)
    turned = call("torch._utils._rebuild_tensor_v2", STORAGE, 0, (4, 3), (1, 4), True, None)
    assert found(same).identity == found(PLAIN).identity != found(turned).identity
    meta = [
        call("torch._utils._rebuild_meta_tensor_no_storage", named("torch.float32"), (2,), (1,), True, offset=at)
        for at in (1, 2)
    ]
    assert found(meta[0]).identity != found(meta[1]).identity


def test_tensors_inside_tensors_end() -> None:
    """A quantised tensor whose scale is quantised, and so on, is not followed."""
    scheme = named("torch.per_channel_affine")
    value: Any = PLAIN
    for _ in range(5000):
        value = call(
            "torch._utils._rebuild_qtensor", STORAGE, 0, (3, 4), (4, 1), (scheme, value, value, 0), False, None
        )
    assert found(value).parts == ()


@pytest.mark.parametrize(
    "value",
    [
        call("torch._utils._rebuild_tensor_v2"),
        call("torch._utils._rebuild_tensor_v2", None, 0, (1,), (1,), False, None),
        call("torch._utils._rebuild_tensor_v2", STORAGE, "0", (1,), (1,), False, None),
        call("torch._utils._rebuild_tensor_v2", STORAGE, 0, (1.5,), (1,), False, None),
        call("torch._utils._rebuild_tensor_v2", STORAGE, 0, (True,), (1,), False, None),
        call("torch._utils._rebuild_qtensor", STORAGE, 0, (1,), (1,), None, False, None),
        call("torch._utils._rebuild_sparse_tensor", None, ()),
        call("torch._utils._rebuild_nested_tensor", 1),
    ],
)
def test_descriptions_that_cannot_be_are_malformed(value: Instance) -> None:
    """They are tensors, and broken: never silently something else."""
    assert is_tensor(value)
    with pytest.raises(MalformedFile):
        tensor_of(value)


def test_other_values_are_no_tensors() -> None:
    """Plain values and objects of any other class."""
    for value in (None, 1, "x", [], {}, call("my.Thing", 1), named("torch.float32")):
        assert tensor_of(value) is None


def test_persistent_ids() -> None:
    """Storages (also windows of storages), classes of old pickles, and ids that are nobody's."""
    kind = named("torch.FloatStorage")
    assert persistent(("storage", kind, "3", "cuda:0", 5), 0) == Storage("3", "float32", 5, "cuda:0")
    assert persistent((b"storage", kind, 3, "cpu", 5, ("9", 2, 1)), 0).base == 2
    assert persistent(("module", kind, "file.py", "source"), 0) is kind
    assert isinstance(persistent("name", 0), Persistent)
    for broken in (("storage", kind, "3"), ("storage", "kind", "3", "cpu", 5), ("storage", kind, "3", "cpu", -1)):
        with pytest.raises(MalformedFile):
            persistent(broken, 0)


def test_sizes_are_bounded() -> None:
    """64 axes and 64-bit sizes at most; anything but whole numbers is an error."""
    assert sizes(()) == ()
    assert sizes([2**63 - 1]) == (2**63 - 1,)
    with pytest.raises(LimitExceeded):
        sizes([2**63])
    with pytest.raises(LimitExceeded):
        sizes([1] * 65)
    for wrong in (None, 3, "ab", [-1], [None], [1.0]):
        with pytest.raises(ValueError, match="size"):
            sizes(wrong)
