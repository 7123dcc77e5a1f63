"""The issuer's public keys: which are used, how long, and what is said where there are none."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from service.access import keyset
from service.access.fetching import Unfetched
from service.access.keyset import KeySet
from service.errors import TokensUnavailable, Unauthenticated
from tests.issuer import public


class Source:
    """Gives what it is set to, and counts how often it was asked."""

    def __init__(self, answer):
        self.answer, self.asked = answer, 0

    def __call__(self):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def clock(monkeypatch):
    """`clock(60)` lets a minute pass."""
    now = [1000.0]
    monkeypatch.setattr(keyset.time, "monotonic", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


def is_known(keys, kid="rsa", algorithm="RS256"):
    """Whether there is such a key."""
    try:
        keys.find(kid, algorithm)
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize(
    ("kid", "algorithm", "expected"),
    [
        ("rsa", "RS256", True),
        ("rsa", "PS512", True),
        ("ec", "ES256", True),
        ("ed", "EdDSA", True),
        ("rsa", "ES256", False),
        ("ec", "RS256", False),
        ("ec", "ES384", False),
        ("ed", "ES256", False),
        ("other", "RS256", False),
        ("", "RS256", False),
    ],
)
def test_a_key_is_only_used_for_its_own_kind_of_signature(issuer, kid, algorithm, expected):
    """Whatever a token's header says."""
    assert is_known(KeySet(Source(issuer.jwks())), kid, algorithm) is expected


def test_a_key_that_names_its_algorithm_is_used_for_no_other(issuer):
    """RFC 7517, 4.4."""
    keys = KeySet(Source(issuer.jwks(alg="PS256")))
    assert [is_known(keys, "rsa", algorithm) for algorithm in ("PS256", "RS256")] == [True, False]


def test_what_is_no_public_key_for_signatures_is_left_out(issuer):
    """For encryption, symmetric, private, too short, without an id, of no known kind, broken."""
    good = public(issuer.keys["rsa"])
    short = public(rsa.generate_private_key(65537, 1024))  # noqa: S505 - to be refused
    listed = [
        good | {"kid": "enc", "use": "enc"},
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
        good | {"kid": "private", "d": "AQAB"},
        short | {"kid": "short"},
        good,
        good | {"kid": 5},
        {"kty": "EC", "kid": "curve", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "broken", "n": "!", "e": 5},
        "text",
        None,
        good | {"kid": "good"},
    ]
    keys = KeySet(Source(json.dumps({"keys": listed}).encode()))
    assert is_known(keys, "good")
    assert keys.state().keys == 1
    assert not any(is_known(keys, kid) for kid in ("enc", "oct", "private", "short", "curve", "broken"))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [[[]]]}', b"[" * 100_000, b"\xff"]
)
def test_what_is_no_key_set_is_said(data):
    """And no token can be checked with it: that is our fault, not the token's."""
    keys = KeySet(Source(data))
    with pytest.raises(TokensUnavailable):
        keys.find("rsa", "RS256")
    assert keys.state().keys == 0
    assert keys.state().problem


def test_keys_are_kept_for_a_while(issuer, clock):
    """Then they are loaded anew, and a key that is gone is gone."""
    source = Source(issuer.jwks())
    keys = KeySet(source)
    assert is_known(keys)
    clock(keyset.FRESH_SECONDS - 1)
    assert is_known(keys)
    assert source.asked == 1
    source.answer = json.dumps({"keys": [public(issuer.keys["ec"]) | {"kid": "ec"}]}).encode()
    clock(2)
    assert not is_known(keys)


def test_a_key_id_that_is_not_known_is_looked_for_but_not_all_the_time(issuer, clock):
    """A new key of the issuer is found within seconds; strangers with made-up ids cannot have us ask for ever."""
    source = Source(issuer.jwks())
    keys = KeySet(source)
    assert is_known(keys)
    for number in range(100):
        assert not is_known(keys, f"new-{number}")
    assert source.asked == 1
    clock(keyset.AGAIN_SECONDS + 1)
    source.answer = json.dumps({"keys": [public(issuer.keys["rsa"]) | {"kid": "new"}]}).encode()
    assert is_known(keys, "new")
    assert source.asked == 2


def test_keys_outlast_an_issuer_that_is_away_for_a_while(issuer, clock):
    """With the problem told; then they are used no more, until it is back."""
    source = Source(issuer.jwks())
    keys = KeySet(source)
    assert is_known(keys)
    source.answer = Unfetched("It is away.")
    clock(keyset.LASTING_SECONDS - 1)
    assert is_known(keys)
    assert keys.state().problem == "It is away."
    clock(2)
    with pytest.raises(TokensUnavailable):
        keys.find("rsa", "RS256")
    source.answer = issuer.jwks()
    clock(keyset.AGAIN_SECONDS + 1)
    assert is_known(keys)
    assert keys.state().problem is None
