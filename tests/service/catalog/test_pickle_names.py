"""Names of the standard library and of model libraries: a star covers no dotted name and none of Python's own."""

from __future__ import annotations

import pytest

from service.catalog.pickle_names import INERT, PLAIN, is_plain, is_standard, listed


@pytest.mark.parametrize("name", ["sqrt.__self__", "__builtins__", "__loader__", "a.b"])
def test_a_star_is_not_everything(name: str) -> None:
    """Dotted names and dunders lead out of any module."""
    assert listed(PLAIN, "math", "sqrt")
    assert not listed(PLAIN, "math", name)
    assert not listed(INERT, "operator", name)


STANDARD = (
    "os os.path nntplib distutils.core commands urllib2 _posixsubprocess xml.etree.ElementTree asyncio.unix_events imp"
)


@pytest.mark.parametrize("module", STANDARD.split())
def test_the_standard_library_is_known(module: str) -> None:
    """Of this Python, of older ones and of Python 2."""
    assert is_standard(module)


@pytest.mark.parametrize("module", ["numpy", "torch.nn", "__main__", "my.os", "user.models", "parser.lib", "osx"])
def test_other_modules_are_not_of_it(module: str) -> None:
    """Also where a name resembles one."""
    assert not is_standard(module)


def test_helpers_of_cython_only_rebuild() -> None:
    """In the packages that ship them."""
    assert is_plain("sklearn.tree._tree", "__pyx_unpickle_Tree")
    assert not is_plain("evil", "__pyx_unpickle_Tree")
    assert not is_plain("sklearn.tree._tree", "__pyx_unpickle_Tree.__globals__")


REBUILT = """
sklearn._loss._loss CyHalfBinomialLoss
sklearn._loss._loss CyHalfTweedieLossIdentity
_loss CyHalfBinomialLoss
_loss __pyx_unpickle_CyHalfMultinomialLoss
sklearn.linear_model._sgd_fast Hinge
sklearn.linear_model.sgd_fast Log
sklearn.tree._tree Tree
sklearn.tree._criterion Gini
sklearn.neighbors._quad_tree _QuadTree
sklearn.metrics._dist_metrics newObj
hdbscan.dist_metrics newObj
scipy.spatial.transform._rigid_transform RigidTransform.from_matrix
statsmodels.tsa.statespace._kalman_filter dKalmanFilter
statsmodels.tsa.statespace._representation zStatespace
statsmodels.tsa.statespace._initialization sInitialization
pandas._libs.tslibs.offsets MonthEnd
pandas._libs.tslibs.offsets Day
pandas._libs.tslibs.period Period
pandas._libs.tslibs.nattype __nat_unpickle
pandas._libs.interval Interval
pandas._libs.sparse IntIndex
pandas._libs.missing NA
pandas.core.internals.managers BlockManager
pandas.core.dtypes.dtypes PeriodDtype
pandas NA
pandas StringDtype
pytz _UTC
pytz _p
numpy.random._pcg64 PCG64DXSM
numpy._core._internal _convert_to_stringdtype_kwargs
_io StringIO
"""


@pytest.mark.parametrize("name", REBUILT.strip().splitlines())
def test_what_libraries_of_numbers_rebuild_their_models_with_is_data(name: str) -> None:
    """Losses, trees, filters, tables, moments: what fitted models and tables of today's libraries are pickled as."""
    assert is_plain(*name.split())


NEAR = """
sklearn._loss._loss load
sklearn._loss.link MultinomialLogit.__globals__
sklearn._loss._loss CyHalfBinomialLoss.__class__
_loss Anything
_loss load
my._loss CyHalfBinomialLoss
sklearn.linear_model._sgd_fast plain_sgd
sklearn.linear_model._base Hinge
sklearn.datasets._base fetch_file
sklearn.datasets._base load_files
sklearn.datasets fetch_openml
sklearn.utils._joblib load
sklearn.externals.joblib load
sklearn.utils.metaestimators available_if
evil newObj
newObj newObj
hdbscan.dist_metrics newObj.__globals__
hdbscan.dist_metrics newObjs
joblib load
joblib.numpy_pickle load
joblib.memory Memory
joblib.numpy_pickle NDArrayWrapper
numpy load
numpy memmap
numpy fromfile
numpy._core._internal _ctypes
numpy.random._pcg64 os
pandas read_pickle
pandas read_csv
pandas eval
pandas HDFStore
pandas ExcelFile
pandas DataFrame.eval
pandas.io.pickle read_pickle
pandas.core.computation.eval eval
pandas.core.internals.managers create_block_manager_from_blocks
pandas._libs.tslibs.offsets to_offset
pandas._libs.tslibs.offsets DateOffset.__init__
pandas._libs.missing NA.__class__
pytz timezone
pytz open_resource
dateutil.tz.tz tzfile
scipy.io loadmat
scipy.io.matlab.mio loadmat
scipy.spatial.transform._rigid_transform RigidTransform.from_matrix.__globals__
statsmodels.iolib.smpickle load_pickle
statsmodels.tsa.statespace._kalman_filter os
statsmodels.tsa.statespace._kalman_filter dKalmanFilter.__globals__
statsmodels.tsa.statespace.kalman_filter KalmanFilter
statsmodels.tsa.statespace._tools.x dCopy
statsmodels.datasets.utils get_rdataset
xstatsmodels.tsa.statespace._kalman_filter dKalmanFilter
lightgbm.basic Booster
lightgbm Booster
xgboost.core Booster
xgboost Booster
catboost.core CatBoost.load_model
_io open
io FileIO
"""


@pytest.mark.parametrize("name", NEAR.strip().splitlines())
def test_what_lies_beside_it_is_not(name: str) -> None:
    """What loads, fetches, evaluates or calls what it is given, in the same modules and under the same names."""
    assert not is_plain(*name.split())


def test_exceptions_are_data() -> None:
    """Making one raises nothing."""
    assert is_plain("builtins", "ValueError")
    assert not is_plain("builtins", "eval")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("_ParameterKind.POSITIONAL_ONLY", True),
        ("_ParameterKind.__class__", False),
        ("_ParameterKind.mro", False),
        ("Unknown.POSITIONAL_ONLY", False),
    ],
)
def test_a_member_of_an_enumeration_is_data(name: str, plain: bool) -> None:
    """Where the enumeration is: some versions of Python look it up on its class."""
    assert is_plain("inspect", name) is plain
