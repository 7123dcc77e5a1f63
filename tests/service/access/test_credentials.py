"""What a request shows to be let in (catalogue row W10)."""

from __future__ import annotations

import pytest

from service.access.credentials import LONGEST, read
from service.errors import Unauthenticated

KEY = "wb_0123456789ab_" + "a" * 52


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        (f"Bearer {KEY}", None),
        (f"bearer {KEY}", None),
        (f"BEARER   {KEY}", None),
        (None, KEY),
        ("Bearer a.b-c_d~e/f+g==", None),
    ],
)
def test_a_key_is_read_from_either_field(authorization, api_key):
    """The scheme's letter case does not matter (RFC 9110, 11.1)."""
    assert read(authorization, api_key).text in (KEY, "a.b-c_d~e/f+g==")


@pytest.mark.parametrize(
    ("authorization", "api_key", "reason"),
    [
        (None, None, "missing"),
        (f"Bearer {KEY}", KEY, "ambiguous"),
        ("", None, "malformed"),
        ("Bearer", None, "malformed"),
        ("Bearer ", None, "malformed"),
        (KEY, None, "malformed"),
        (f"Basic {KEY}", None, "malformed"),
        (f"Bearer {KEY},Bearer {KEY}", None, "malformed"),
        (f"Bearer {KEY} {KEY}", None, "malformed"),
        (f"Bearer\t{KEY}", None, "malformed"),
        (f"Bearer {KEY}\u00e4", None, "malformed"),
        (f"Bearer {KEY}\n", None, "malformed"),
        (f"Bearer {KEY}\x00", None, "malformed"),
        ("Bearer " + "a" * (LONGEST + 1), None, "malformed"),
        (None, "", "malformed"),
        (None, f"{KEY},{KEY}", "malformed"),
        (None, f" {KEY}", "malformed"),
        (None, f"{KEY}\u00e4", "malformed"),
        (None, "\u0627", "malformed"),
        (None, "a" * (LONGEST + 1), "malformed"),
    ],
)
def test_anything_else_is_refused(authorization, api_key, reason):
    """Nothing sent, two fields, an empty one, one sent twice (they arrive with a comma), not ASCII, over-long."""
    with pytest.raises(Unauthenticated) as caught:
        read(authorization, api_key)
    assert caught.value.info.extra == {"reason": reason}
    assert KEY not in str(caught.value)


def test_a_credential_does_not_show_itself():
    """Whatever prints it."""
    assert KEY not in f"{read(None, KEY)!r} {read(None, KEY)}"
