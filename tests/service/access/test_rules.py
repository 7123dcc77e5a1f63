"""Whether a key is needed, and which settings cannot be meant."""

from __future__ import annotations

import pytest

from service.access import rules
from service.access.callers import Quotas
from service.config import Access

ANYWHERE = "0.0.0.0"  # noqa: S104 - an address to be judged
TOKENS = {"token_issuer": "i", "token_audience": "a", "token_jwks": "/x"}


@pytest.mark.parametrize(
    ("auth", "bound", "expected"),
    [
        ("auto", "127.0.0.1", False),
        ("auto", "127.0.0.1,::1,unix:/x", False),
        ("auto", "127.0.0.1,10.0.0.1", True),
        ("auto", ANYWHERE, True),
        ("auto", "::", True),
        ("auto", "", True),
        ("required", "127.0.0.1", True),
        ("off", ANYWHERE, False),
    ],
)
def test_a_key_is_needed_unless_only_this_machine_can_ask(auth, bound, expected):
    """Or it is said otherwise. Where nobody knows what can reach the service, it is needed."""
    assert rules.needs_keys(Access(auth=auth, bound=bound)) is expected


def test_quotas_are_there_where_keys_are_needed():
    """Elsewhere only those that are set; 0 takes one away."""
    assert rules.quotas(Access(auth="required")) == rules.DEFAULTS
    assert rules.quotas(Access(auth="off")) == Quotas()
    assert rules.quotas(Access(auth="off", quota_requests_per_minute=5)) == Quotas(requests_per_minute=5)
    assert rules.quotas(Access(auth="required", quota_bytes_per_day=0)).bytes_per_day is None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quota_bytes_per_day": -1}, "WEIGHBRIDGE_QUOTA"),
        ({"admin_bind": "here"}, "WEIGHBRIDGE_ADMIN_BIND"),
        ({"cors_origins": "here"}, "WEIGHBRIDGE_CORS_ORIGINS"),
        ({"cors_origins": "*", "auth": "off"}, "would let every web page"),
        ({"token_issuer": "i"}, "not set: WEIGHBRIDGE_TOKEN_AUDIENCE"),
        ({"token_jwks": "/x"}, "not set: WEIGHBRIDGE_TOKEN_ISSUER, WEIGHBRIDGE_TOKEN_AUDIENCE"),
        ({**TOKENS, "token_algorithms": "RS256,HS256"}, "HS256 and none are not taken"),
        ({**TOKENS, "token_algorithms": "none"}, "HS256 and none are not taken"),
        ({**TOKENS, "token_algorithms": ""}, "WEIGHBRIDGE_TOKEN_ALGORITHMS"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings, said):
    """At the start, with the variable's name and what to do."""
    with pytest.raises(ValueError, match=said):
        rules.check(Access(**settings))


def test_settings_that_can_be_meant_are_not():
    """The defaults, tokens, and everybody's pages where keys are needed."""
    rules.check(Access())
    rules.check(Access(auth="required", cors_origins="*", admin_bind="[::1]:9000", **TOKENS))


def warning(access, *, has_keys):
    """What is said."""
    return rules.warning(access, has_keys=has_keys, command="/bin/weighbridge")


def test_an_open_service_on_a_public_address_is_a_warning():
    """Loud, with the address; not on loopback, nor where keys are needed and there are some."""
    assert "EVERYBODY" in warning(Access(auth="off", bound=ANYWHERE), has_keys=True)
    assert "EVERYBODY" in warning(Access(auth="off"), has_keys=True)
    assert warning(Access(auth="off", bound="127.0.0.1"), has_keys=False) == ""
    assert warning(Access(auth="required", bound=ANYWHERE), has_keys=True) == ""


def test_a_closed_service_without_keys_says_how_to_make_the_first():
    """Unless tokens are taken."""
    assert "`/bin/weighbridge keys add NAME" in warning(Access(bound=ANYWHERE), has_keys=False)
    assert warning(Access(bound=ANYWHERE, **TOKENS), has_keys=False) == ""
