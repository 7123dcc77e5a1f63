"""That no row of the threat catalogue is without an attack, and no attack without a row."""

from __future__ import annotations

import pytest

from tests.attacks.frame import catalogue
from tests.attacks.rows import ROWS, TESTED
from tests.attacks.table import named_tests, row_of


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_an_attack_or_a_test(row: str) -> None:
    """At least one attack of the row; for what is about the service, a test whose docstring names it."""
    attacks = [attack for attack in catalogue() if row_of(attack) == row]
    assert attacks or (row in TESTED and named_tests()[row])


def test_each_attack_belongs_to_a_row() -> None:
    """Its identifier begins with one."""
    assert {row_of(attack) for attack in catalogue()} <= ROWS.keys()
