"""Layer lists built by their frameworks, many in one process, as models with findings; no expectations in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from service.enrich.findings.run import add_findings
from service.language import from_data
from service.tree import Model
from tests.building import answers


def built(framework: str, documents: Sequence[Any]) -> list[Model]:
    """The models of layer lists or Keras configurations, with their findings."""
    found = []
    for document, answer in zip(documents, answers(framework, documents), strict=True):
        assert "model" in answer, (document, answer)
        found.append(add_findings(msgspec.convert(answer["model"], Model, dec_hook=from_data)))
    return found


def chain(framework: str, input_shape: list[int | None], *layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A layer list."""
    return {"framework": framework, "input_shape": input_shape, "layers": list(layers), **more}


def findings(model: Model) -> set[tuple[str, str | None]]:
    """(rule, path) of every finding."""
    return {(finding.rule, finding.path) for finding in model.findings}


def said(model: Model, rule: str) -> list[str]:
    """What the findings of one rule say, in English."""
    return [str(finding.what) for finding in model.findings if finding.rule == rule]
