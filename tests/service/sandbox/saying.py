"""What the hostile reader answers, as plain text."""

from __future__ import annotations

from service.sandbox.client import Outcome


def said(outcome: Outcome) -> tuple[str, ...]:
    """The notes of the model that came back."""
    assert outcome.answer.model is not None
    return tuple(str(note) for note in outcome.answer.model.notes)
