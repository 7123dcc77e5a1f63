"""Which role each route needs: all of them are in one table."""

from __future__ import annotations

from service.web.app import create_app
from service.web.permissions import MONITORING, OPEN, TABLE, WITHHELD
from service.web.securing import OPERATIONS


def test_every_route_is_in_the_table_and_no_other(parts):
    """A route that is added must say who may use it; one that goes must go from here."""
    assert {rule.endpoint for rule in create_app(parts).url_map.iter_rules()} == TABLE.keys()


def test_what_is_open_is_named_here_once_more():
    """Opening a route takes two hands: nothing that shows or changes an analysis is among them."""
    assert {endpoint for endpoint, permission in TABLE.items() if permission is OPEN} == {
        "health.healthz", "health.readyz", "docs.openapi", "docs.page", "docs.start", "docs.asset",
    }  # fmt: skip


def test_what_changes_something_needs_more_than_reading(parts):
    """By method, whatever the table says of a route."""
    for rule in create_app(parts).url_map.iter_rules():
        if rule.methods & {"POST", "PUT", "PATCH", "DELETE"}:
            assert TABLE[rule.endpoint].role in ("submitter", "admin")
            assert TABLE[rule.endpoint].action


def test_numbers_of_all_are_for_administrators():
    """They tell of everybody's use."""
    assert TABLE["health.prometheus"].role == "admin"


def test_what_monitoring_needs_is_served_to_it():
    """Where it has a port of its own."""
    assert TABLE.keys() >= MONITORING
    assert {"health.readyz", "health.prometheus"} == WITHHELD


def test_every_operation_of_the_description_has_its_route():
    """So that the description tells of each whether a key is needed; assets of the page are no operations."""
    assert set(OPERATIONS.values()) == TABLE.keys() - {"docs.start", "docs.asset"}
