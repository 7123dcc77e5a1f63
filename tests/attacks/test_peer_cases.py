"""Four other scanners' cases, and ordinary files, in a confined child: none runs, none passes, none is slandered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.config import Limits
from service.sandbox.client import Sandbox
from tests.attacks.corpora import THEIRS, Case
from tests.attacks.frame import SERIOUS, Answer, Trap
from tests.attacks.test_behind_wall import asked

FEWEST = {"picklescan": 90, "modelscan": 35, "fickling": 100, "modelaudit": 65, "ordinary": 200}
"""Cases that each corpus has at least: fewer, and it was not taken apart as it should be."""
STOPPED = {"inconsistent_archive", "encrypted_file", "unknown_format"}
"""Codes with which a malicious file may be refused: its container lies, or it is none that is read."""


def answers(cases: list[Case], sandbox: Sandbox, trap: Trap) -> Iterator[tuple[Case, Answer]]:
    """What a child says of each; nothing may have happened by then."""
    for case in cases:
        yield case, asked(sandbox, trap.put(case.files), Limits())
        assert trap.sprung() == []


@pytest.mark.parametrize("corpus", THEIRS)
def test_their_cases_are_named(corpus: str, sandbox: Sandbox, trap: Trap) -> None:
    """Every malicious one is named, or refused for its container; nothing harmless is listed as high; all answer."""
    cases = list(THEIRS[corpus]())
    assert len(cases) >= FEWEST[corpus]
    wrong = []
    for case, answer in answers(cases, sandbox, trap):
        loud = [danger for danger in answer.dangers if danger["severity"] in SERIOUS]
        named = bool(answer.dangers) or answer.code in STOPPED
        if (case.malicious and not named) or (not case.malicious and (loud or answer.code is not None)):
            wrong.append((case.label, answer.code, loud))
    assert wrong == []
