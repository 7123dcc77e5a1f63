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
