"""Every framework has a title and conventions, and what is not known follows the plainest ones."""

from __future__ import annotations

import re

import pytest

from service.frameworks import FRAMEWORKS, OWN_RULES, conventions, separator_of, title_of
from service.registry import formats
from service.views.values import full_name
from tests.builders import layer, weight


def test_only_two_frameworks_are_known_class_by_class() -> None:
    """Keras counts statistics among the weights, PyTorch keeps them beside."""
    assert set(OWN_RULES) <= FRAMEWORKS.keys()
    assert (conventions("keras"), conventions("torch")) == ("keras", "torch")


@pytest.mark.parametrize("format_", formats(), ids=lambda one: one.id)
def test_every_format_names_a_known_framework(format_) -> None:  # type: ignore[no-untyped-def]
    """So that its title, its names and its way of counting are known."""
    named = set(re.split(r", | or ", format_.framework))
    assert named <= {*FRAMEWORKS, "unknown"}


def test_an_unknown_framework_is_called_what_the_report_calls_it() -> None:
    """A file of named arrays that does not say who wrote it."""
    assert (title_of("unknown"), conventions("unknown"), separator_of("unknown")) == ("unknown", "torch", ".")


def test_full_names_are_joined_as_the_framework_joins_them() -> None:
    """With a slash in Keras and TensorFlow, with a dot in PyTorch."""
    one, held = layer("a", "linear"), weight("kernel", (2, 2))
    assert [full_name(one, held, name) for name in ("keras", "torch")] == ["a/kernel", "a.kernel"]
