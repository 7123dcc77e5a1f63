"""What stands in the audit log of what was asked, and what does not."""

from __future__ import annotations

import json

import pytest

from tests.service.web.guard.asking import HERE, compared, raw


@pytest.fixture
def audit(tmp_path):
    """`audit()` are the lines of the audit log."""
    return lambda: [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]


def test_every_use_is_in_the_audit_log(client, audit, ann, bob):
    """Who did what to which analysis with which outcome, and under which request."""
    made = raw(client, ann | {"X-Request-Id": "my-id"}).get_json()["id"]
    client.get(f"{HERE}/{made}/report", headers=bob)
    comparison = compared(client, ann, made, made).get_json()["id"]
    client.delete(f"{HERE}/{made}", headers=ann)
    client.get("/v1/formats")
    lines = audit()
    assert [(line["action"], line.get("account"), line["status"], line.get("code")) for line in lines] == [
        ("create_analysis", "ann", 201, None),
        ("read_report", "bob", 404, "not_found"),
        ("create_comparison", "ann", 201, None),
        ("delete_analysis", "ann", 204, None),
        ("health.list_formats", None, 401, "unauthenticated"),
    ]
    assert (lines[0]["analysis"], lines[0]["request_id"], lines[0]["client"]) == (made, "my-id", "127.0.0.1")
    assert lines[0]["caller"] == f"key:{ann['X-API-Key'].split('_')[1]}"
    assert (lines[2]["comparison"], lines[2]["left"], lines[2]["right"]) == (comparison, made, made)


def test_the_audit_log_holds_neither_keys_nor_names_of_files(client, tmp_path, ann):
    """Nor what else a client can put into a request."""
    raw(client, ann, path=f"{HERE}?wait=10&filename=secret-name")
    client.get("/v1/secret-path", headers={"X-API-Key": ann["X-API-Key"] + "x", "User-Agent": "secret-agent"})
    text = (tmp_path / "audit.log").read_text()
    assert text.count("\n") == 2
    assert "secret" not in text
    assert ann["X-API-Key"].rpartition("_")[2] not in text
