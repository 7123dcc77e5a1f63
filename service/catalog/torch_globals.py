"""Which names in a pickle only rebuild data, and which could run code; a list of what is allowed, not of what is bad.

What is on neither list is reported too: called, it may do anything. Names are judged as written, after Python 2's
module names have been mapped; nothing is ever imported to find out.
"""

from __future__ import annotations

import re

from service.catalog.pickle_names import (
    DEFERRED,
    INERT,
    ONLY_NAMED,
    is_method_of_data,
    is_plain,
    is_standard,
    listed,
)
from service.catalog.pickle_names import words as _words
from service.catalog.torch_layers import is_torch_class
from service.language import Message, msg
from service.parsers.pickle_types import How, Use
from service.plain import text
from service.tree import Danger, Severity

REFERENCE = "https://docs.python.org/3/library/pickle.html"

_REBUILD = {
    "builtins": "set frozenset list dict tuple int float bool str bytes bytearray complex slice range object "
                "Ellipsis NoneType",
    "collections": "OrderedDict defaultdict deque Counter",
    "copyreg": "_reconstructor __newobj__ __newobj_ex__",
    "_codecs": "encode",
    "datetime": "datetime date time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "pathlib": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    "pathlib._local": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    "argparse": "Namespace",
    "types": "SimpleNamespace",
    "numpy": "ndarray dtype bool_ generic float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 "
             "uint64",
    "numpy.dtypes": "*",
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64",
    "torch": "Size device Tensor ScriptObject Generator memory_format layout dtype strided per_tensor_affine "
             "per_channel_affine per_tensor_symmetric per_channel_symmetric per_channel_affine_float_qparams "
             "contiguous_format channels_last sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc "
             "preserve_format",
    "torch._utils": "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
                    "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor "
                    "_rebuild_sparse_csr_tensor _rebuild_nested_tensor _rebuild_meta_tensor_no_storage "
                    "_rebuild_wrapper_subclass _rebuild_device_tensor_from_numpy "
                    "_rebuild_device_tensor_from_cpu_tensor _rebuild_xla_tensor",
    "torch._tensor": "_rebuild_from_type _rebuild_from_type_v2 Tensor",
    "torch.tensor": "_rebuild_from_type Tensor",
    "torch.nn.parameter": "Parameter Buffer UninitializedParameter UninitializedBuffer",
    "torch.nn": "Parameter",
    "torch.autograd.variable": "Variable",
    "torch.serialization": "_get_layout",
    "torch.storage": "TypedStorage UntypedStorage _TypedStorage _UntypedStorage",
    "torch.jit._pickle": "build_intlist build_tensorlist build_doublelist build_boollist build_tensor_from_id "
                         "restore_type_tag",
    "torch.nn.utils.weight_norm": "WeightNorm",
    "torch.nn.utils.spectral_norm": "SpectralNorm SpectralNormStateDictHook SpectralNormLoadStateDictPreHook",
    "torch.ao.quantization.qconfig": "QConfig",
    "torch.ao.quantization.observer": "_PartialWrapper",
    "torch.ao.quantization.stubs": "QuantStub DeQuantStub QuantWrapper",
    "torch.torch_version": "TorchVersion",
    "torch.distributed.checkpoint.metadata": "Metadata TensorStorageMetadata BytesStorageMetadata ChunkStorageMetadata "
                                             "TensorProperties MetadataIndex StorageMeta _MEM_FORMAT_ENCODING",
    "torch.distributed.checkpoint.filesystem": "_StorageInfo",
    "torch.fx._symbolic_trace": "Tracer",
}  # fmt: skip

_RUNS = {
    "builtins": "eval exec compile open __import__ execfile apply map filter input breakpoint getattr delattr "
                "setattr globals locals vars type classmethod staticmethod super help exit quit memoryview",
    "operator": "attrgetter methodcaller itemgetter call",
    "_operator": "attrgetter methodcaller itemgetter call",
    "functools": "partial partialmethod reduce _unpickle_reducer",
    "_functools": "partial reduce",
    "types": "FunctionType CodeType LambdaType MethodType ModuleType",
    "io": "open open_code FileIO",
    "_io": "open open_code FileIO",
    "numpy": "load fromfile memmap save genfromtxt loadtxt DataSource",
    "torch": "load save hub compile from_file import_ir_module",
    "torch.serialization": "load _legacy_load save",
    "torch._utils": "_import_dotted_name",
    "torch.fx": "GraphModule",
    "torch.jit": "load script trace",
    "torch.jit._serialization": "load",
    "torch.jit.unsupported_tensor_ops": "*",
    "torch.jit.annotations": "*",
    "torch.nn.modules.module": "_import_dotted_name",
    "torch.fx.graph_module": "GraphModule reduce_graph_module reduce_package_graph_module reduce_deploy_graph_module "
                             "_forward_from_src _exec_with_source",
    "tempfile": "*",
    "glob": "*",
    "logging": "*",
    "gc": "*",
    "inspect": "*",
    "linecache": "*",
    "fileinput": "*",
    "posixpath": "*",
    "ntpath": "*",
    "genericpath": "*",
    "zipfile": "*",
    "tarfile": "*",
    "mmap": "*",
    "fcntl": "*",
    "ast": "*",
}  # fmt: skip
"""Names in otherwise ordinary modules that execute code or open files when called."""


_RUNNING_PACKAGES = _words(
    "os posix nt subprocess sys pty shutil socket _socket ctypes _ctypes commands popen2 runpy pip ensurepip "
    "importlib _imp imp _frozen_importlib _frozen_importlib_external pkgutil code codeop bdb pdb timeit profile "
    "cProfile _lsprof trace doctest webbrowser asyncio multiprocessing concurrent signal threading _thread "
    "_posixsubprocess http urllib urllib2 requests httpx aiohttp ftplib smtplib telnetlib poplib imaplib nntplib "
    "ssl xmlrpc socketserver zipimport site venv distutils setuptools pydoc idlelib lib2to3 unittest pickle "
    "_pickle pickletools dill cloudpickle joblib marshal shelve sqlite3 dbm platform crypt cgi wsgiref "
    "antigravity turtledemo nturl2path _pyrepl _testcapi xxsubtype numba IPython ipykernel jinja2 mako yaml "
    "paramiko fabric invoke pexpect psutil _aix_support _osx_support sysconfig _sysconfigdata mimetypes keras "
    "tensorflow onnxruntime tensorrt"
)
"""Packages that exist to run, load or fetch things: any name in them counts."""

_RUNNING_TORCH = (
    "torch.hub", "torch.package", "torch.distributed", "torch.multiprocessing", "torch.utils.cpp_extension",
    "torch.utils.collect_env", "torch.utils.bottleneck", "torch.utils._config_module",
    "torch.utils.data.datapipes", "torch.utils._import_utils", "torch._inductor", "torch._dynamo",
    "torch._export", "torch.onnx", "torch.ops", "torch._ops", "torch.classes", "torch._classes", "torch.testing",
    "torch.fx.experimental", "torch.utils.hipify", "torch.profiler", "torch.jit._script", "torch.jit._trace",
    "torch.utils.model_dump", "torch.utils.tensorboard", "numpy.testing", "numpy.f2py", "numpy.distutils",
    "numpy.ctypeslib", "numpy.lib", "numpy.compat", "numpy._core._internal", "logging.config",
)  # fmt: skip

_REFERABLE = ("torch.nn.functional", "torch.nn.init", "torch._C._nn", "torch._jit_internal")
"""Modules of plain functions that modules keep as attributes (an activation): naming one does nothing."""

_REFERENCES = {
    "torch.jit.annotations": "CVE-2022-45907",
    "torch.distributed": "CVE-2024-48063",
    "torch.jit.unsupported_tensor_ops": "CVE-2025-1716",
    "pip": "CVE-2025-1716",
    "torch._utils": "CVE-2025-62164",
    "torch.fx.graph_module": "https://docs.pytorch.org/docs/stable/fx.html",
}

_NOTABLE: dict[tuple[str, str], tuple[Severity, str, Message]] = {
    ("torch.storage", "_load_from_bytes"): (
        "medium", "pickle_nested", msg("Loading the file would load pickles inside it, which are listed."),
    ),
    ("torch._utils", "_rebuild_sparse_tensor"): (
        "low", "torch_sparse_tensor", msg("Loading the file makes sparse tensors whose indices are not "
        "checked by default."),
    ),
}  # fmt: skip
"""Names that only rebuild data, but in a way worth knowing of."""

_CLASS_NAME = re.compile(r"_?[A-Z]\w*\Z", re.ASCII)
_FUNCTION_NAME = re.compile(r"_?[A-Za-z]\w*\Z", re.ASCII)
_STORAGE_NAME = re.compile(r"(?:Typed|Untyped|[A-Z]\w*)Storage\Z", re.ASCII)


def _table(names: dict[str, str]) -> dict[str, frozenset[str]]:
    return {module: _words(found) for module, found in names.items()}


_REBUILD_NAMES = _table(_REBUILD)
_RUNS_NAMES = _table(_RUNS)


def is_harmless(module: str, name: str) -> bool:
    """Whether calling this name with anything only rebuilds data or makes one of PyTorch's own layers."""
    if listed(_REBUILD_NAMES, module, name) or is_plain(module, name):
        return True
    if module in ("torch", "torch.cuda") and _STORAGE_NAME.match(name):
        return True
    if module == "torch" and name in _TORCH_DTYPES:
        return True
    if module.startswith("__torch__.") or module == "__torch__":
        return True  # TorchScript: a class defined by the archive's own code, which is listed apart
    if name in _RUN_THEIR_STATE:
        return False
    return is_torch_class(module, name) or (module.startswith("torch.optim.") and bool(_CLASS_NAME.match(name)))


_RUN_THEIR_STATE = _words("GraphModule OptimizedModule")
"""Modules that run what they are given: FX writes Python of its graph, Dynamo calls the compiler in its state."""
_TORCH_DTYPES = _words(
    "float32 float float64 double float16 half bfloat16 int64 long int32 int int16 short int8 uint8 uint16 uint32 "
    "uint64 bool complex32 complex64 complex128 qint8 quint8 qint32 quint4x2 quint2x4 float8_e4m3fn float8_e5m2 "
    "float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu float4_e2m1fn_x2"
)


def runs_code(module: str, name: str) -> bool:
    """Whether this name is known to run, load or fetch something, or to reach what does."""
    package = module.partition(".")[0]
    first = name.partition(".")[0]
    if package in _RUNNING_PACKAGES or (f"{module}.").startswith(tuple(f"{prefix}." for prefix in _RUNNING_TORCH)):
        return True
    if listed(_RUNS_NAMES, module, name) or listed(_RUNS_NAMES, module, first):
        return True
    steps = name.split(".")
    if len(steps) == 1 or first in _OF_MODULES:
        return first in _OF_MODULES
    return not _REACHING.isdisjoint(steps[1:]) or not _THROUGH.isdisjoint(steps) or steps[-1] in _RUNS_NAMES["builtins"]


_REACHING = _words(
    "__globals__ __builtins__ __subclasses__ __class__ __mro__ __base__ __bases__ __dict__ __getattribute__ "
    "__call__ __code__ __init__ __import__ __loader__ __spec__ f_globals f_builtins gi_frame modules system popen"
)
"""Steps of a dotted name that lead from any object to the interpreter's internals."""


_OF_MODULES = _words("__builtins__ __loader__ __spec__ __dict__ __getattr__")
"""What every module has, and leads to all that it can reach."""
_THROUGH = _RUNNING_PACKAGES | {"builtins"}
"""Steps of a dotted name that are modules: any module that imports one leads to it."""


_SEEN_THROUGH = frozenset({"builtins.getattr", "builtins.type"})
"""What is named to look something up, which is judged in its place."""


def judge(use: Use, member: str | None) -> Danger | None:
    """What to report about one global of a pickle, None if it only rebuilds data."""
    module, name = use.module, use.name
    if module is None or name is None:
        what = msg("The pickle computes which global it uses while loading.")
        return _danger(use, member, "pickle_computed_global", "high", what)
    if (module, name) in _NOTABLE:
        severity, code, what = _NOTABLE[module, name]
        return _danger(use, member, code, severity, what)
    if is_harmless(module, name):
        return None
    path = text(f"{module}.{name}", 200)
    if (module, name) in DEFERRED and use.how in ("created", "built"):
        what = msg("Loading the file would make {path} of a function, which is judged by itself.", path=path)
        return _danger(use, member, "pickle_class", "medium", what)
    if use.how == "referenced" and path in _SEEN_THROUGH:
        return None
    if runs_code(module, name):
        return _judge_running(use, member, path)
    if use.how != "called" and _is_inert(module, name, use.how):
        return None
    return _judge_standard(use, member, path) if is_standard(module) else _judge_unknown(use, member, path)


def _is_inert(module: str, name: str, how: How) -> bool:
    """Whether a name that is not called does nothing."""
    if listed(INERT, module, name):
        return how == "referenced" or module not in ONLY_NAMED
    return is_method_of_data(module, name)


def _judge_running(use: Use, member: str | None, path: str) -> Danger:
    if use.how == "called":
        what = msg("Loading the file would call {path}.", path=path)
        return _danger(use, member, "pickle_global", "critical", what)
    what = msg("Loading the file would import {path}, which can run code.", path=path)
    return _danger(use, member, "pickle_global", "high", what)


def _judge_standard(use: Use, member: str | None, path: str) -> Danger:
    """Python's own library has gadgets beyond any list of bad names, and data needs little of it."""
    if use.how == "called":
        what = msg("Loading the file would call {path}, which is not known here.", path=path)
    else:
        what = msg("Loading the file would import {path} of Python's library, which data does not need.", path=path)
    return _danger(use, member, "pickle_global", "high", what)


def _judge_unknown(use: Use, member: str | None, path: str) -> Danger | None:
    chosen = use.picks and _CLASS_NAME.match(use.name or "") is not None  # a member of an enumeration is had so
    if use.how == "called" and not chosen:
        what = msg("Loading the file would call {path}, which is not known here.", path=path)
        return _danger(use, member, "pickle_global", "high", what)
    if use.how != "referenced":
        what = msg("Loading the file would import {path} and make an object of it.", path=path)
        return _danger(use, member, "pickle_class", "medium", what)
    if use.module in _REFERABLE and _FUNCTION_NAME.match(use.name or "") and not is_standard(use.name or ""):
        return None
    return _danger(use, member, "pickle_reference", "low", msg("Loading the file would import {path}.", path=path))


def _danger(use: Use, member: str | None, code: str, severity: Severity, what: Message) -> Danger:
    module = use.module or ""
    known = (
        reference for prefix, reference in _REFERENCES.items() if module == prefix or module.startswith(f"{prefix}.")
    )
    return Danger(
        code=code,
        severity=severity,
        what=what,
        member=member,
        offset=use.offset,
        detail=text(f"{use.module or '?'}.{use.name or '?'}", 500),
        reference=next(known, REFERENCE),
    )
