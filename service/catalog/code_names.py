"""Names that a file may ask a loader to import and call: which of them can only be meant as code. Resolves nothing.

What pickles are held against (`torch_globals`) holds here too, so that a name is judged alike wherever it stands.
"""

from __future__ import annotations

import re
import sys

from service.catalog import torch_globals
from service.catalog.pickle_names import package

MODULES = sys.stdlib_module_names | frozenset(
    {"pip", "setuptools", "pkg_resources", "distutils", "_distutils_hack", "hydra", "sh", "plumbum", "cffi", "fire",
     "fsspec", "wget", "gdown", "huggingface_hub"}
)  # fmt: skip
"""Of Python itself, of its installer, of what runs or fetches and of what calls by names: no part of a model."""
_CALLS = """
load loads load_all unsafe_load full_load unpickle read_pickle fromfile tofile memmap genfromtxt loadtxt load_library
load_op_library load_npz load_extension eval exec execute compile system popen Popen run call check_call check_output
spawn fork open import_module resolve_name __import__ urlopen urlretrieve download extractall
get_method get_class get_object instantiate savetxt savez savez_compressed pure_callback io_callback host_callback
"""
CALLS = frozenset(_CALLS.split())
"""Names that in any module are likely to run, open or fetch what they are given."""
_TABLES = re.compile(r"(?:read|to)_(?:csv|excel|feather|hdf|json|parquet|pickle|sql|stata|xml)\Z")
"""What reads or writes a table, in pandas and what is like it."""
_FRAMEWORKS = frozenset({"keras", "tensorflow", "onnxruntime", "tensorrt"})
"""Whose every name counts in a pickle, which has no need of them; elsewhere they are what a model is made of."""


def runs_code(module: str, name: str) -> bool:
    """Whether `name`, dotted or not, of `module` is code rather than part of a model."""
    last = name.rpartition(".")[2]
    if package(module) in MODULES or last in CALLS or _TABLES.match(last):
        return True
    return package(module) not in _FRAMEWORKS and torch_globals.runs_code(module, name)
