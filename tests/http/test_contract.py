"""What the service answers is what its description says: asked by schemathesis, for a short while.

The long form is `python -m tests.torture.contract`.
"""

from __future__ import annotations

from service.web.examples import SAFETENSORS
from tests.torture import contract

EXAMPLES = 3
LEAST = 50
PHASES = "fuzzing,stateful"
"""Not the examples of specs: starting a framework takes longer than all the rest."""


def test_every_answer_is_described(start):
    """Random requests and chains of them: no 5xx, no status, type, field or body that is not."""
    service = start(WEIGHBRIDGE_LOG_LEVEL="ERROR", WEIGHBRIDGE_AUTH="off")
    python = contract.interpreter()
    assert python is not None, "make .venv-audit/.tests, or set WEIGHBRIDGE_AUDIT_PYTHON"
    example = service.ask("POST", "/v1/analyses?wait=30&filename=a.safetensors", body=SAFETENSORS.encode())
    assert (example.status, example.json()["report"]["totals"]["parameters"]) == (201, 1)
    outcome = contract.run(python, service, examples=EXAMPLES, seed=5, phases=PHASES)
    assert outcome.status == 0, outcome.text
    assert outcome.passed == outcome.cases >= LEAST
