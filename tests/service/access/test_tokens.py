"""Bearer tokens: one way to be valid, and each way not to be (RFC 7519, RFC 8725)."""

from __future__ import annotations

import time

import msgspec
import pytest

from service.access.callers import Quotas
from service.access.tokens import role_of, tokens_of
from service.config import Access
from service.errors import TokensUnavailable, Unauthenticated
from tests.issuer import ISSUER, Issuer, public


@pytest.fixture
def tokens(access):
    return tokens_of(access)


def changed(access, **settings):
    """With other settings of tokens."""
    return tokens_of(msgspec.structs.replace(access, **{f"token_{name}": value for name, value in settings.items()}))


def reason(tokens, token):
    """Why it is refused."""
    with pytest.raises(Unauthenticated) as caught:
        tokens.caller(token, Quotas())
    assert token not in str(caught.value.info)
    return caught.value.info.extra["reason"]


@pytest.mark.parametrize(
    ("kid", "algorithm"),
    [("rsa", "RS256"), ("rsa", "RS512"), ("rsa", "PS256"), ("ec", "ES256"), ("ed", "EdDSA")],
)
def test_a_valid_token_lets_its_holder_in(tokens, issuer, kid, algorithm):
    """As an account of the issuer's, which no key can have."""
    found = tokens.caller(issuer.token(kid, algorithm), Quotas(bytes_per_day=5))
    assert (found.account, found.role) == (f"token:{ISSUER}:ann", "submitter")
    assert found.quotas == Quotas(bytes_per_day=5)
    assert "ann" not in found.name


NOW = int(time.time())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"exp": NOW - 60}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1}, "expired"),
        ({"exp": None}, "missing_claim"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": [1]}, "malformed"),
        ({"exp": float("inf")}, "malformed"),
        ({"nbf": NOW + 3600}, "not_yet_valid"),
        ({"nbf": "x"}, "malformed"),
        ({"iat": NOW + 3600}, "not_yet_valid"),
        ({"aud": "other"}, "wrong_audience"),
        ({"aud": ["other", "another"]}, "wrong_audience"),
        ({"aud": []}, "missing_claim"),
        ({"aud": None}, "missing_claim"),
        ({"aud": 5}, "wrong_audience"),
        ({"aud": "WEIGHBRIDGE"}, "wrong_audience"),
        ({"iss": "https://evil.example/"}, "wrong_issuer"),
        ({"iss": ISSUER + "x"}, "wrong_issuer"),
        ({"iss": None}, "missing_claim"),
        ({"sub": None}, "missing_claim"),
        ({"sub": ""}, "missing_claim"),
        ({"sub": "a" * 256}, "missing_claim"),
        ({"sub": "ann\nbob"}, "missing_claim"),
    ],
)
def test_claims_are_checked(tokens, issuer, changed, expected):
    """Expired, not yet valid, for another audience, of another issuer, of nobody."""
    assert reason(tokens, issuer.token(**changed)) == expected


def test_clocks_may_differ_a_little(tokens, issuer):
    """By the leeway, on either end."""
    now = int(time.time())
    assert tokens.caller(issuer.token(exp=now - 10, nbf=now + 10, iat=now + 10), Quotas()).role == "submitter"


@pytest.mark.parametrize("audience", [["other", "weighbridge"], "weighbridge"])
def test_one_audience_of_several_is_enough(tokens, issuer, audience):
    """RFC 7519, 4.1.3."""
    assert tokens.caller(issuer.token(aud=audience), Quotas()).role == "submitter"


def test_no_signature_is_no_token(tokens, issuer):
    """`none` in every spelling, with a signature and without."""
    for name in ("none", "None", "NONE", "nOnE", "", None, 5, ["RS256"]):
        assert reason(tokens, issuer.forged({"alg": name, "kid": "rsa", "typ": "JWT"})) in ("wrong_header", "malformed")
        assert reason(tokens, issuer.forged({"alg": name, "kid": "rsa"}, b"x")) in ("wrong_header", "malformed")


def test_a_public_key_is_no_secret(tokens, issuer):
    """An HMAC with the public key as its secret, however that is written, under every name."""
    for secret in (issuer.pem(), issuer.pem().strip(), issuer.jwks()):
        for name in ("HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"):
            refused = reason(tokens, issuer.forged({"alg": name, "kid": "rsa"}, secret))
            assert refused in ("wrong_header", "wrong_signature", "unknown_key", "malformed")


@pytest.mark.parametrize(
    "headers",
    [{}, {"kid": None}, {"kid": 5}, {"kid": "other"}, {"kid": "ec"}, {"kid": "../../dev/null"}, {"kid": "' OR 1=1 --"},
     {"kid": "rsa", "crit": ["exp"]}],
)  # fmt: skip
def test_a_token_names_the_key_it_is_signed_with(tokens, issuer, headers):
    """Without an id, with one that is none, that is another's, or with demands that nobody understands."""
    made = issuer.forged({"alg": "RS256"} | headers, b"x")
    assert reason(tokens, made) in ("wrong_header", "unknown_key", "malformed")


def test_keys_that_a_token_brings_along_are_not_used(tokens, issuer):
    """`jwk`, `jku`, `x5u`, `x5c` in its header (RFC 8725, 3.10)."""
    stranger = Issuer()
    elsewhere = "http://127.0.0.1:1/"
    brought = {"jwk": public(stranger.keys["rsa"]), "jku": elsewhere, "x5u": elsewhere, "x5c": []}
    assert reason(tokens, stranger.token(headers={"kid": "rsa"} | brought)) == "wrong_signature"


def test_a_token_that_was_changed_is_refused(tokens, issuer):
    """In any of its parts."""
    head, claims, signature = issuer.token().split(".")
    other = issuer.token(sub="bob").split(".")
    for parts in ((head, other[1], signature), (head, claims, other[2]), (head, claims, signature[::-1])):
        assert reason(tokens, ".".join(parts)) in ("wrong_signature", "malformed")


@pytest.mark.parametrize(
    "garbage",
    ["garbage", "ab.bc", "ab.bc.cd", "..,", "...,", "ab.bc.cd.de", "e30.e30.e30", "bnVsbA.bnVsbA.", "W10.W10.W10",
     "eyJhbGciOiJSUzI1NiJ9..", "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.." + "A" * 342, "A" * 4000, "/" * 40,
     "W1tb" * 900 + ".e30.e30"],
)  # fmt: skip
def test_garbage_is_refused(tokens, garbage):
    """Whatever it is: a problem of whoever sent it, never one of ours."""
    assert reason(tokens, garbage) in ("malformed", "wrong_header", "wrong_signature")


def test_without_the_issuer_s_keys_nobody_can_tell(access, issuer):
    """That is no fault of the token."""
    tokens = changed(access, jwks="/nowhere/jwks.json")
    with pytest.raises(TokensUnavailable):
        tokens.caller(issuer.token(), Quotas())


def test_only_the_chosen_signatures_are_taken(access, issuer):
    """By the setting."""
    tokens = changed(access, algorithms="ES256")
    assert tokens.caller(issuer.token("ec", "ES256"), Quotas()).role == "submitter"
    assert reason(tokens, issuer.token("rsa", "RS256")) == "wrong_header"


def test_another_claim_may_say_whose_analyses_they_are(access, issuer):
    """A tenant, say: all its people see the same."""
    tokens = changed(access, account_claim="tid")
    assert tokens.caller(issuer.token(tid="tenant-1"), Quotas()).account == f"token:{ISSUER}:tenant-1"
    assert reason(tokens, issuer.token()) == "missing_claim"


@pytest.mark.parametrize(
    ("claims", "name", "prefix", "expected"),
    [
        ({"roles": ["reader"]}, "roles", "", "reader"),
        ({"roles": ["reader", "admin", "x"]}, "roles", "", "admin"),
        ({"roles": "submitter"}, "roles", "", "submitter"),
        ({"scope": "openid wb:reader wb:submitter"}, "scope", "wb:", "submitter"),
        ({"scope": "openid admin"}, "scope", "wb:", None),
        ({"realm_access": {"roles": ["admin"]}}, "realm_access.roles", "", "admin"),
        ({"https://x.example/roles": ["reader"]}, "https://x.example/roles", "", "reader"),
        ({}, "roles", "", None),
        ({"roles": []}, "roles", "", None),
        ({"roles": ["Admin", "administrator", "root", ""]}, "roles", "", None),
        ({"roles": {"admin": True}}, "roles", "", None),
        ({"roles": [["admin"], 5, None]}, "roles", "", None),
        ({"roles": True}, "roles", "", None),
        ({"realm_access": "admin"}, "realm_access.roles", "", None),
    ],
)
def test_the_highest_role_in_the_claim_counts(claims, name, prefix, expected):
    """A list or a text, at the top or inside an object; anything else is no role."""
    assert role_of(claims, name, prefix) == expected


def test_no_issuer_no_tokens():
    """They are taken only where they are asked for."""
    assert tokens_of(Access()) is None
