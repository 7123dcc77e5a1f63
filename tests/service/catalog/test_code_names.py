"""Which names can only be meant as code: by their module, or by what they are called in any module."""

from __future__ import annotations

import pytest

from service.catalog.code_names import runs_code


@pytest.mark.parametrize(("module", "name", "expected"), [
    ("os", "system", True), ("os.path", "join", True), ("pip._internal", "main", True), ("hydra.utils", "call", True),
    ("any.library", "load", True), ("any.library", "Class.load", True), ("numpy", "fromfile", True),
    ("any.library", "instantiate", True), ("somebody.layers", "Swish", False), ("nemo.asr", "Encoder", False),
    ("torch.utils.cpp_extension", "load_inline", True), ("torch.jit.unsupported_tensor_ops", "execWrapper", True),
    ("torch.fx.graph_module", "_exec_with_source", True), ("numpy.testing._private.utils", "runstring", True),
    ("cloudpickle.cloudpickle", "_make_function", True), ("dill._dill", "_create_function", True),
    ("numpy", "save", True), ("pandas", "to_pickle", True), ("pandas", "read_csv", True), ("sh", "bash", True),
    ("jax", "pure_callback", True), ("torch.nn", "Linear", False), ("tensorflow.nn", "relu", False),
    ("tensorflow.python.ops.init_ops", "Zeros", False), ("keras.layers", "Dense", False),
    ("oslo", "Config", False), ("any.library", "loader", False), ("", "", False),
])  # fmt: skip
def test_names_of_code(module: str, name: str, expected: bool) -> None:
    """All of Python's own library; in others what loads, opens, fetches or runs, as it is judged in pickles.

    Frameworks whose names a pickle has no need of are what other files are made of.
    """
    assert runs_code(module, name) is expected
