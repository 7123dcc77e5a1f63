"""Names that a file may ask a loader to import and call: which of them can only be meant as code. Resolves nothing."""

from __future__ import annotations

import sys

MODULES = sys.stdlib_module_names | frozenset(
    {"pip", "setuptools", "pkg_resources", "distutils", "_distutils_hack", "hydra"}
)
"""Of Python itself, of its installer, and of what calls by names: nothing in them is part of a model."""
_CALLS = """
load loads load_all unsafe_load full_load unpickle read_pickle fromfile memmap genfromtxt loadtxt load_library
load_op_library load_npz load_extension eval exec execute compile system popen Popen run call check_call check_output
spawn fork open import_module resolve_name __import__ urlopen urlretrieve download extractall
get_method get_class get_object instantiate
"""
CALLS = frozenset(_CALLS.split())
"""Names that in any module are likely to run, open or fetch what they are given."""


def runs_code(module: str, name: str) -> bool:
    """Whether `name`, dotted or not, of `module` is code rather than part of a model."""
    return module.partition(".")[0] in MODULES or name.rpartition(".")[2] in CALLS
