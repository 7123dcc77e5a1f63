"""The parts together: who is let in under which settings."""

from __future__ import annotations

import msgspec
import pytest

from service.access import gate, keys
from service.access.gate import Gate
from service.access.rules import DEFAULTS
from service.config import Access, Settings
from service.errors import Unauthenticated


@pytest.fixture
def made(settings, database):
    """A gate that wants keys, and takes tokens."""
    opened = Gate(settings, database)
    yield opened
    opened.close()


def test_a_key_and_a_token_let_in(made, database, issuer):
    """Either field for a key, Authorization alone for a token; with the installation's quotas."""
    _, text = keys.add(database, "ann", "reader")
    for found in (made.caller(f"Bearer {text}", None, ""), made.caller(None, text, "")):
        assert (found.account, found.quotas) == ("ann", DEFAULTS)
    assert made.caller(f"Bearer {issuer.token()}", None, "").role == "submitter"
    with pytest.raises(Unauthenticated):
        made.caller(None, issuer.token(), "")


def test_accounts_of_keys_and_of_tokens_are_never_the_same(made, database, issuer):
    """Both may be called ann."""
    _, text = keys.add(database, "ann", "reader")
    accounts = {made.caller(f"Bearer {sent}", None, "").account for sent in (text, issuer.token(sub="ann"))}
    assert len(accounts) == 2


def test_nobody_else_is_let_in(made):
    """Without a credential, or with one that is none."""
    for sent in ((None, None), ("Bearer x.y.z", None), (None, "wb_x"), ("", None)):
        with pytest.raises(Unauthenticated):
            made.caller(*sent, "127.0.0.1")


def test_without_an_issuer_a_token_is_no_key(settings, database, issuer):
    """They are taken only where they are set up."""
    closed = Gate(msgspec.structs.replace(settings, access=Access(auth="required")), database)
    with pytest.raises(Unauthenticated) as caught:
        closed.caller(f"Bearer {issuer.token()}", None, "")
    assert caught.value.info.extra["reason"] == "unknown"
    assert closed.state().tokens is None
    closed.close()


def test_where_no_key_is_needed_whatever_is_sent_does_not_matter(tmp_path, database):
    """A proxy's own Authorization, say."""
    opened = Gate(Settings(data_dir=tmp_path, access=Access(bound="127.0.0.1")), database)
    found = opened.caller("Basic x", "wb_x", "127.0.0.1")
    assert (found.account, found.role, found.name) == ("", "admin", "address:127.0.0.1")
    assert not opened.required
    opened.close()


def test_the_state_says_how_tokens_fare(made, issuer):
    """For /readyz."""
    made.caller(f"Bearer {issuer.token()}", None, "")
    state = made.state()
    assert state.required
    assert (state.tokens.keys, state.tokens.problem) == (3, None)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"admin_bind": "x"}, "ADMIN_BIND"),
        ({"token_jwks": "http://issuer.example/keys"}, "only https"),
        ({"token_jwks": "", "token_issuer": "no address"}, "WEIGHBRIDGE_TOKEN_JWKS"),
        ({"token_jwks": "", "token_issuer": "http://issuer.example"}, "only https"),
        ({"audit_log": "/nowhere/audit.log"}, "AUDIT_LOG"),
    ],
)
def test_settings_are_checked_before_anything_is_served(settings, changed, said):
    """All of them."""
    gate.check(settings)
    with pytest.raises(ValueError, match=said):
        gate.check(msgspec.structs.replace(settings, access=msgspec.structs.replace(settings.access, **changed)))
