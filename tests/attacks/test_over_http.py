"""One attack of each row of the threat catalogue over real HTTP: the same outcome, and the next request is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.attacks.frame import Answer, Attack, Trap, catalogue, complaint, sample


def sent(service: Any, files: dict[str, bytes]) -> Answer:
    """What the service answers to an upload of these files."""
    response = service.ask("POST", "/v1/analyses?wait=60", fields=[("file", item) for item in files.items()])
    raw = response.data.decode()
    document = json.loads(raw)
    assert response.status < 500, raw
    problem = document if response.status >= 400 else document.get("error")
    if problem is not None:
        return Answer(problem["code"], problem.get("limit"), (), complete=False, raw=raw)
    report = document["report"]
    assert report["provenance"]["confinement"]["confined"]
    rules = tuple(finding["rule"] for finding in report["findings"])
    return Answer(None, None, tuple(report["security"]), report["complete"], raw, rules)


@pytest.mark.parametrize("attack", sample(catalogue()), ids=lambda attack: attack.label)
def test_it_is_contained_over_http(attack: Attack, service: Any, trap: Trap) -> None:
    """The outcome of the catalogue, nothing sprung, and the service goes on."""
    files = attack.files(trap)
    trap.put({})
    found = sent(service, dict(files))
    assert complaint(attack.expects, found) is None, complaint(attack.expects, found)
    assert trap.sprung() == []
    assert service.ask("GET", "/healthz").status == 200
