"""Each rule finds what it is for, and nothing in its near misses, in models that the frameworks built."""

from __future__ import annotations

import functools

import pytest

from service.tree import Model
from tests.service.enrich.findings.builds import built, findings
from tests.service.enrich.findings.cases import KERAS, TORCH, Case

CASES = {"keras": KERAS, "torch": TORCH}


@functools.cache
def models(framework: str) -> dict[str, Model]:
    """All cases of a framework, built in one process, by name."""
    cases = CASES[framework]
    return dict(zip([case.name for case in cases], built(framework, [case.document for case in cases]), strict=True))


@pytest.mark.parametrize("case", KERAS, ids=lambda case: case.name)
def test_keras(case: Case) -> None:
    """The findings of a Keras model are those and no others."""
    assert findings(models("keras")[case.name]) == case.expected


@pytest.mark.parametrize("case", TORCH, ids=lambda case: case.name)
def test_torch(case: Case) -> None:
    """The findings of a PyTorch model are those and no others."""
    assert findings(models("torch")[case.name]) == case.expected
