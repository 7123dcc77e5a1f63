"""Roles and what they see."""

from __future__ import annotations

import pytest

from service.access.callers import ROLES, Caller, Quotas, anyone


def holder(role):
    return Caller(account="ann", role=role, name="key:1")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_those_before_it_may(role):
    """And nothing of those after it."""
    assert [holder(role).may(needed) for needed in ROLES] == [
        ROLES.index(needed) <= ROLES.index(role) for needed in ROLES
    ]


def test_without_a_role_nobody_may_anything():
    """A token may name none."""
    assert not any(holder(None).may(needed) for needed in ROLES)


def test_only_an_administrator_sees_what_is_another_s():
    """Everybody sees what is theirs."""
    assert [holder(role).sees("bob") for role in (None, *ROLES)] == [False, False, False, True]
    assert all(holder(role).sees("ann") for role in ROLES)


def test_where_no_key_is_needed_everybody_is_one_and_may_everything():
    """As it was before there were keys; counted by address."""
    first, second = anyone("127.0.0.1", Quotas()), anyone("::1", Quotas())
    assert first.account == second.account == ""
    assert first.may("admin")
    assert first.name != second.name
