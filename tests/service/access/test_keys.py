"""API keys: made once, kept as hashes, found again, revoked, expired."""

from __future__ import annotations

import hashlib
import re

import pytest
from sqlalchemy import select

from service.access import keys
from service.access.callers import Quotas
from service.errors import Unauthenticated
from service.jobs.tables import api_keys


def reason(database, text):
    """Why a key is refused."""
    with pytest.raises(Unauthenticated) as caught:
        keys.caller(database, text, Quotas())
    return caught.value.info.extra["reason"]


def test_a_key_has_a_prefix_an_id_and_256_random_bits(database):
    """Each another."""
    made = [keys.add(database, "ann", "reader") for _ in range(3)]
    for key, text in made:
        assert re.fullmatch(rf"wb_{key.id}_[a-z2-7]{{52}}", text)
    assert len({text for _, text in made}) == 3


def test_only_a_hash_is_kept(database, settings):
    """Neither the key nor its secret half is anywhere in the data folder."""
    _, text = keys.add(database, "ann", "reader")
    secret = text.rpartition("_")[2].encode()
    with database.reading() as connection:
        assert connection.execute(select(api_keys.c.hash)).scalar_one() == hashlib.sha256(text.encode()).hexdigest()
    assert not [path for path in settings.data_dir.rglob("*") if path.is_file() and secret in path.read_bytes()]


def test_a_key_lets_its_holder_in(database):
    """As its account, with its role and name, and its own quotas before the installation's."""
    key, text = keys.add(database, "ann", "submitter", quotas={"requests_per_minute": 5, "bytes_per_day": 0})
    found = keys.caller(database, text, Quotas(requests_per_minute=1, bytes_per_day=1, bytes_per_hour=1))
    assert (found.account, found.role, found.name) == ("ann", "submitter", f"key:{key.id}")
    assert found.quotas == Quotas(requests_per_minute=5, bytes_per_hour=1)


def test_any_other_key_does_not(database):
    """Another secret, another id, another key's secret, letters in another case, shorter, longer, none at all."""
    (key, text), (other, theirs) = keys.add(database, "ann", "reader"), keys.add(database, "bob", "admin")
    mixed = f"wb_{key.id}_{theirs.rpartition('_')[2]}"
    changed = text[:-2] + ("aa" if text[-2:] != "aa" else "bb")
    for wrong in (
        mixed, changed, text.upper(), text[:-1], text + "a", f"wb_{'0' * 12}_{'a' * 52}", "wb_", "wb__",
        f"wb_{key.id}_", text.replace("wb_", "wb_ "), f"wb_{other.id}", "wb_%", "wb_'; --",
    ):  # fmt: skip
        assert reason(database, wrong) == "unknown"


def test_a_revoked_key_is_invalid_at_once(database):
    """Only who holds its secret is told why. Revoking it again changes nothing."""
    key, text = keys.add(database, "ann", "reader")
    assert keys.revoke(database, key.id)
    revoked_at = keys.all_keys(database)[0].revoked_at
    assert keys.revoke(database, key.id)
    assert keys.all_keys(database)[0].revoked_at == revoked_at
    assert reason(database, text) == "revoked"
    assert reason(database, f"wb_{key.id}_{'a' * 52}") == "unknown"


def test_an_expired_key_is_invalid(database):
    """From its last moment on."""
    _, text = keys.add(database, "ann", "reader", seconds=0.0)
    assert reason(database, text) == "expired"


def test_no_key_is_revoked_by_a_name_that_there_is_not(database):
    """Which is told."""
    assert not keys.revoke(database, "0" * 12)


@pytest.mark.parametrize("account", ["", "a b", "a:b", "token:x", "\u00e4", "a\n", "-a", "a" * 101, "a/b", "../a"])
def test_accounts_are_plain_names(database, account):
    """None of them can be that of a token's holder, nor nobody's."""
    with pytest.raises(ValueError, match="An account is"):
        keys.add(database, account, "reader")


def test_all_keys_are_listed_with_their_state(database):
    """The oldest first; a revoked one stays in the list."""
    first, _ = keys.add(database, "ann", "reader")
    second, _ = keys.add(database, "ann", "admin", seconds=60.0)
    third, _ = keys.add(database, "bob", "reader", seconds=0.0)
    keys.revoke(database, first.id)
    found = keys.all_keys(database)
    assert [key.id for key in found] == [first.id, second.id, third.id]
    assert [key.state(key.created_at + 1) for key in found] == ["revoked", "active", "expired"]
    assert keys.any_active(database)
