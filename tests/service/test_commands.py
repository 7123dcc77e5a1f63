"""`weighbridge keys`: made, listed, revoked; printed once."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from service.access import keys
from service.cli import main
from service.config import Settings
from service.jobs.database import open_database


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run("list")` is what the command prints and how it ends."""
    monkeypatch.setenv("WEIGHBRIDGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WEIGHBRIDGE_AUDIT_LOG", str(tmp_path / "audit.log"))
    return lambda *arguments: CliRunner().invoke(main, ["keys", *arguments])


@pytest.fixture
def kept(tmp_path):
    """`kept()` are the keys of the installation."""

    def read():
        database = open_database(Settings(data_dir=tmp_path / "data"))
        try:
            return keys.all_keys(database)
        finally:
            database.close()

    return read


def test_a_key_is_printed_alone_and_once(run, kept):
    """So that `$(weighbridge keys add ann)` is the key; what there is to say about it goes elsewhere."""
    done = run("add", "ann")
    assert done.exit_code == 0
    assert re.fullmatch(r"wb_[0-9a-f]{12}_[a-z2-7]{52}\n", done.stdout)
    assert "submitter of ann" in done.stderr
    assert done.stdout.strip() not in run("list").output
    [key] = kept()
    assert (key.account, key.role, key.quotas) == ("ann", "submitter", {})
    assert key.expires_at - key.created_at == pytest.approx(365 * 86400)


def test_role_time_and_quotas_can_be_chosen(run, kept):
    """As named."""
    done = run("add", "ann", "--role", "admin", "--expires-in", "12h", "--quota", "requests_per_minute=5", "--quota",
               "bytes_per_day=0")  # fmt: skip
    assert done.exit_code == 0
    run("add", "bob", "--expires-in", "never")
    ann, bob = kept()
    assert (ann.role, ann.quotas) == ("admin", {"requests_per_minute": 5, "bytes_per_day": 0})
    assert ann.expires_at - ann.created_at == pytest.approx(12 * 3600)
    assert bob.expires_at is None


@pytest.mark.parametrize(
    "wrong",
    [("a b",), ("a:b",), ("ann", "--role", "root"), ("ann", "--expires-in", "soon"), ("ann", "--expires-in", "0d"),
     ("ann", "--expires-in", "99999y"),
     ("ann", "--quota", "x=1"), ("ann", "--quota", "bytes_per_day=-1"), ("ann", "--quota", "bytes_per_day"), ()],
)  # fmt: skip
def test_what_cannot_be_meant_makes_no_key(run, kept, wrong):
    """And says what can."""
    done = run("add", *wrong)
    assert done.exit_code != 0
    assert done.stdout == ""
    assert done.stderr.strip()
    assert run("list").stdout.count("\n") == 1


def test_a_revoked_key_stays_in_the_list(run, kept):
    """Named by its id."""
    run("add", "ann")
    [key] = kept()
    assert run("revoke", key.id).exit_code == 0
    assert re.search(rf"{key.id}  ann +submitter  revoked", run("list").stdout)


def test_a_key_that_there_is_not_cannot_be_revoked(run):
    """Nor is a whole key wanted where everybody can read it."""
    assert "no key with this id" in run("revoke", "0" * 12).stderr
    refused = run("revoke", "wb_0123456789ab_" + "a" * 52)
    assert refused.exit_code != 0
    assert "id only" in refused.stderr


def test_making_and_revoking_are_in_the_audit_log(run, kept, tmp_path):
    """With who did it, and never the key."""
    text = run("add", "ann").stdout.strip()
    run("revoke", kept()[0].id)
    log = (tmp_path / "audit.log").read_text()
    first, second = map(json.loads, log.splitlines())
    assert (first["action"], first["account_of_key"], second["action"]) == ("add_key", "ann", "revoke_key")
    assert first["key"] == second["key"] == kept()[0].id
    assert first["by"]
    assert text.rpartition("_")[2] not in log


def test_the_folder_is_made_for_its_user_alone(run, tmp_path):
    """Also where the service has never run."""
    run("add", "ann")
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "data").rglob("*"))
