"""The audit log: lines that say who did what, and nothing that must not be said (catalogue row W7)."""

from __future__ import annotations

import json
import stat

import pytest

from service.access.audit import Audit, check
from service.access.callers import Caller

ANN = Caller(account="ann", role="submitter", name="key:0123")


def test_a_line_says_who_did_what_when(tmp_path):
    """As one JSON object; what is not known is left out."""
    path = tmp_path / "audit.log"
    Audit(str(path), always=False).note(ANN, "show_analysis", analysis="1", status=200, code=None, request_id="r")
    line = json.loads(path.read_text())
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "audit", "account": "ann", "caller": "key:0123", "role": "submitter", "action": "show_analysis",
        "analysis": "1", "status": 200, "request_id": "r",
    }  # fmt: skip
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_somebody_who_was_not_let_in_has_no_name(tmp_path):
    """Only what was tried is written."""
    Audit(str(tmp_path / "a"), always=False).note(None, "list_analyses", status=401)
    assert "account" not in json.loads((tmp_path / "a").read_text())


HOSTILE = 'a\nb\r\n{"event": "audit"}\x1b[2J\x00\x7f\u2028\u202e\ud800</script>=cmd|'


def test_nothing_that_a_client_chooses_can_be_a_line_of_its_own(tmp_path):
    """Line ends, escapes, text that runs backwards, halves of characters: printable ASCII is all that is written."""
    path = tmp_path / "audit.log"
    Audit(str(path), always=False).note(ANN, HOSTILE, client=HOSTILE)
    raw = path.read_bytes()
    assert raw.count(b"\n") == 1
    assert all(32 <= byte < 127 for byte in raw[:-1])
    assert json.loads(raw)["client"] == HOSTILE


def test_a_file_that_was_rotated_is_made_anew(tmp_path):
    """Without a signal to anybody."""
    path = tmp_path / "audit.log"
    audit = Audit(str(path), always=False)
    audit.note(ANN, "first")
    path.rename(tmp_path / "audit.log.1")
    audit.note(ANN, "second")
    assert json.loads(path.read_text())["action"] == "second"


def test_a_file_that_cannot_be_written_loses_no_line(tmp_path, capsys):
    """It goes to standard error, and says that it should not have."""
    Audit(str(tmp_path), always=False).note(ANN, "first")
    said, line = capsys.readouterr().err.splitlines()
    assert json.loads(said)["event"] == "audit_log_not_written"
    assert json.loads(line)["action"] == "first"


@pytest.mark.parametrize("always", [True, False])
def test_without_a_file_it_goes_to_the_other_log_if_it_goes_anywhere(capsys, always):
    """Where keys are needed it does."""
    Audit("", always=always).note(ANN, "first")
    assert bool(capsys.readouterr().err) is always


def test_a_file_that_cannot_be_written_is_said_at_the_start(tmp_path):
    """With the variable's name; one that can be is made."""
    with pytest.raises(ValueError, match="WEIGHBRIDGE_AUDIT_LOG"):
        check(str(tmp_path / "absent" / "audit.log"))
    check(str(tmp_path / "audit.log"))
    check("")
    assert (tmp_path / "audit.log").exists()
