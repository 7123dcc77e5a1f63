"""Names in pickles beside PyTorch's and NumPy's own: what of the standard library and of model libraries is plain data.

Knows names as they are written; what they do to a finding's severity is decided in `torch_globals`. Nothing is imported
to find out what a name is.
"""

from __future__ import annotations

import builtins
import re
import sys
from functools import cache


def words(names: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(names.split())


_EXCEPTIONS = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)

PLAIN: dict[str, frozenset[str]] = {
    "builtins": words("NotImplemented NotImplementedType ellipsis") | _EXCEPTIONS,
    "types": words("GenericAlias UnionType NoneType EllipsisType NotImplementedType"),
    "typing": words("A*"),
    "operator": words("getitem or_"),
    "_operator": words("getitem or_"),
    "re": words("_compile Pattern RegexFlag"),
    "logging": words("getLogger"),
    "array": words("array _array_reconstructor"),
    "inspect": words("_empty _ParameterKind Parameter Signature"),
    "ipaddress": words("IPv4Address IPv6Address IPv4Network IPv6Network IPv4Interface IPv6Interface"),
    "zoneinfo": words("ZoneInfo._unpickle ZoneInfo"),
    "random": words("Random"),
    "math": words("*"),
    "cmath": words("*"),
    "numbers": words("A*"),
    "collections.abc": words("A*"),
    "numpy.ma.core": words("MaskedArray _mareconstruct MaskedConstant"),
    "numpy.ma": words("MaskedArray"),
    "numpy": words("matrix record recarray datetime64 timedelta64 str_ bytes_ void object_ intp int_ float_ complex64 "
                   "complex128 longdouble float128 bool longlong ulonglong uintp intc"),
    "numpy.matrixlib.defmatrix": words("matrix"),
    "numpy.rec": words("recarray record"),
    "numpy.core": words("_ufunc_reconstruct"),
    "numpy._core": words("_ufunc_reconstruct"),
    "numpy._core.numerictypes": words("*"),
    "numpy._core._internal": words("_convert_to_stringdtype_kwargs"),
    "numpy.random.bit_generator": words("SeedSequence BitGenerator"),
    "numpy.random._sfc64": words("SFC64"),
    "numpy.random._pcg64": words("PCG64 PCG64DXSM"),
    "numpy.random._philox": words("Philox"),
    "torch._C._nn": words("*"),
    "scipy.sparse._csr": words("csr_matrix csr_array"),
    "scipy.sparse._csc": words("csc_matrix csc_array"),
    "scipy.sparse.csr": words("csr_matrix"),
    "scipy.sparse.csc": words("csc_matrix"),
    "joblib.numpy_pickle": words("NumpyArrayWrapper"),
    "sklearn.externals.joblib.numpy_pickle": words("NumpyArrayWrapper"),
    "scipy.spatial.transform._rigid_transform": words("RigidTransform.from_matrix"),
    # Compiled, and nothing but losses, criteria and trees: what makes one takes numbers and arrays. Wheels of
    # scikit-learn 1.4 to 1.8 call the first of them by its last name alone.
    "_loss": words("CyAbsoluteError CyExponentialLoss CyHalfBinomialLoss CyHalfGammaLoss CyHalfMultinomialLoss "
                   "CyHalfPoissonLoss CyHalfSquaredError CyHalfTweedieLoss CyHalfTweedieLossIdentity CyHuberLoss "
                   "CyLossFunction CyPinballLoss __pyx_unpickle_CyHalfMultinomialLoss __pyx_unpickle_CyLossFunction"),
    "sklearn._loss._loss": words("A*"),
    "sklearn.linear_model._sgd_fast": words("A*"),
    "sklearn.linear_model.sgd_fast": words("A*"),
    "sklearn.tree._tree": words("Tree"),
    "sklearn.tree._criterion": words("A*"),
    "sklearn.neighbors._quad_tree": words("_QuadTree"),
    "sklearn.neighbors.quad_tree": words("_QuadTree"),
    "numpy.random": words("__RandomState_ctor"),
    "io": words("BytesIO StringIO"),
    "_io": words("BytesIO StringIO"),
    "pandas.core.indexes.base": words("_new_Index Index"),
    "pandas.core.indexes.interval": words("IntervalIndex _new_IntervalIndex"),
    "pandas.core.indexes.range": words("RangeIndex"),
    "pandas.core.indexes.datetimes": words("_new_DatetimeIndex"),
    "pandas.core.indexes.timedeltas": words("_new_TimedeltaIndex TimedeltaIndex"),
    "pandas.core.indexes.period": words("_new_PeriodIndex"),
    "pandas._libs.tslibs.timedeltas": words("_timedelta_unpickle"),
    "pandas._libs.tslibs.nattype": words("_nat_unpickle __nat_unpickle"),
    "pandas._libs.internals": words("_unpickle_block BlockPlacement"),
    "pandas._libs.tslibs.timestamps": words("_unpickle_timestamp"),
    # Compiled: spans and steps of time, positions in a sparse array. Some call a method of the calendar or class that
    # they are given: where that would be a function of the file's, it is told (`pickle_calls.stand_in`).
    "pandas._libs.tslibs.offsets": words(
        "BHalfYearBegin BHalfYearEnd BQuarterBegin BQuarterEnd BYearBegin BYearEnd BusinessDay BusinessHour "
        "BusinessMonthBegin BusinessMonthEnd CustomBusinessDay CustomBusinessHour CustomBusinessMonthBegin "
        "CustomBusinessMonthEnd DateOffset Day Easter FY5253 FY5253Quarter HalfYearBegin HalfYearEnd Hour "
        "LastWeekOfMonth Micro Milli Minute MonthBegin MonthEnd Nano QuarterBegin QuarterEnd Second SemiMonthBegin "
        "SemiMonthEnd Tick Week WeekOfMonth YearBegin YearEnd"
    ),
    "pandas._libs.tslibs.period": words("Period"),
    "pandas._libs.interval": words("Interval"),
    "pandas._libs.sparse": words("BlockIndex IntIndex"),
    "pandas._libs.missing": words("NA NAType"),
    "pandas.core.internals": words("BlockManager SingleBlockManager"),
    "pandas.core.internals.managers": words("BlockManager SingleBlockManager"),
    "pandas.core.arrays.string_": words("StringDtype"),
    "pandas.core.dtypes.dtypes": words("PeriodDtype"),
    "pandas": words("DateOffset Interval IntervalIndex NA NaT Period PeriodDtype StringDtype "
                    "TimedeltaIndex"),
    # The fixed zones, and one of pytz's own by its name, as `zoneinfo.ZoneInfo` has it.
    "pytz": words("_UTC _p UTC utc FixedOffset _FixedOffset"),
}  # fmt: skip
"""What only makes data, whatever it is given: harmless in every use."""

INERT: dict[str, frozenset[str]] = {
    "operator": words("*"),
    "_operator": words("*"),
    "enum": words("*"),
    "abc": words("*"),
    "string": words("*"),
    "copy": words("copy deepcopy"),
    "re": words("_compile.findall _compile.finditer _compile.fullmatch _compile.match _compile.search _compile.split "
                "_compile.sub _compile.subn"),
    "itertools": words("*"),
    "dataclasses": words("_MISSING_TYPE _HAS_DEFAULT_FACTORY_CLASS Field InitVar _FIELD _FIELD_BASE"),
    "collections": words("UserDict UserList ChainMap namedtuple"),
    "builtins": words("abs all any bin bool callable chr divmod format hash hex id isinstance issubclass iter len max "
                      "min next oct ord pow print repr reversed round sorted sum zip enumerate property"),
}  # fmt: skip
"""What does nothing while it is only named, as an attribute of a model may be."""

DEFERRED = frozenset((module, name) for module in ("functools", "_functools") for name in ("partial", "reduce"))
"""What holds a function and calls it later, or calls it at once: as harmless as that function is."""

ONLY_NAMED = frozenset({"itertools"})
"""Inert modules whose objects call functions as they are used, so that no pickle should make one."""

_OLD_LIBRARY = words(
    "__builtin__ copy_reg cPickle commands httplib urllib2 urlparse robotparser xmlrpclib BaseHTTPServer "
    "SimpleHTTPServer CGIHTTPServer DocXMLRPCServer SimpleXMLRPCServer StringIO cStringIO Queue SocketServer "
    "ConfigParser Cookie cookielib HTMLParser htmlentitydefs markupbase repr thread dummy_thread dummy_threading "
    "_dummy_thread Tkinter tkFileDialog tkMessageBox anydbm dumbdbm whichdb gdbm dbhash bsddb popen2 sets "
    "rexec Bastion imputil ihooks compiler mimetools MimeWriter rfc822 multifile sha md5 exceptions future_builtins "
    "asynchat asyncore imp distutils smtpd aifc audioop cgi cgitb crypt imghdr mailcap msilib nis nntplib "
    "ossaudiodev pipes sndhdr spwd sunau telnetlib uu xdrlib lib2to3 binhex macpath fpectl "
    "turtledemo idlelib pydoc_data ensurepip _bootlocale _strptime sre_compile sre_parse sre_constants posix nt "
    "pwd grp termios resource fcntl syslog readline msvcrt winreg _winreg _winapi winsound macurl2path nturl2path"
)
"""Modules that Python once had, or has on other systems: `sys.stdlib_module_names` tells those of this Python."""

_CLASS = re.compile(r"_?[A-Z]\w*\Z", re.ASCII)
_MEMBER = re.compile(r"[A-Z][A-Z0-9_]*\Z", re.ASCII)
_METHOD = re.compile(
    r"(?:str|bytes|bytearray|int|float|complex|bool|list|tuple|dict|set|frozenset)\.(?!format(?:_map)?\Z)[a-z]\w*\Z",
    re.ASCII,
)
_CYTHON = re.compile(r"(?:__pyx_unpickle_\w+|newObj)\Z", re.ASCII)
"""What Cython writes to rebuild an object of a compiled class, and scikit-learn by hand: it only calls `__new__`."""
_STATE_SPACE = re.compile(r"statsmodels\.tsa\.statespace\._\w+:[sdcz][A-Z][A-Za-z]*\Z", re.ASCII)
"""Compiled filters, each for four kinds of numbers: they are made of sizes and matrices."""
_NUMERIC = words("numpy sklearn scipy pandas statsmodels lightgbm hdbscan implicit")


def listed(table: dict[str, frozenset[str]], module: str, name: str) -> bool:
    """Whether a name is in a table.

    There `*` stands for every name that is neither dotted nor Python's own, `A*` for every class: a module's functions
    may be another matter (`typing.get_type_hints` evaluates texts).
    """
    names = table.get(module)
    if names is None:
        return False
    any_ = "*" in names and "." not in name and not name.startswith("__")
    return any_ or name in names or ("A*" in names and _CLASS.match(name) is not None)


def is_plain(module: str, name: str) -> bool:
    """Whether this only makes data, whatever it is given."""
    owner, _, member = name.rpartition(".")
    if owner and _MEMBER.match(member):  # of an enumeration: Python 3.11.0 to 3.11.3 looked it up on its class
        return listed(PLAIN, module, owner)
    if listed(PLAIN, module, name) or _STATE_SPACE.match(f"{module}:{name}"):
        return True
    return _CYTHON.match(name) is not None and package(module) in _NUMERIC


def is_method_of_data(module: str, name: str) -> bool:
    """Whether this is a method of a built-in type of data, as a tokenizer keeps `str.lower`."""
    return module == "builtins" and _METHOD.match(name) is not None


@cache
def is_standard(module: str) -> bool:
    """Whether a module is, or was, of Python's standard library."""
    return package(module) in sys.stdlib_module_names or package(module) in _OLD_LIBRARY


def package(module: str) -> str:
    """The package that a module is of."""
    return module.partition(".")[0]
