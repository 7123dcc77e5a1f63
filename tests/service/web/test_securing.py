"""The OpenAPI description of keys, roles and quotas."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate

from service.config import Access
from service.web.openapi import build
from service.web.permissions import OPEN, TABLE
from service.web.securing import EITHER, OPERATIONS


@pytest.fixture(scope="module")
def operations():
    description = build(required=True)
    validate(description)
    assert description["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}
    return {each["operationId"]: each for item in description["paths"].values() for each in item.values()}


def test_every_operation_tells_whether_a_key_is_needed(operations):
    """By either field, with the least role; the open ones need none."""
    assert operations.keys() == OPERATIONS.keys()
    for name, operation in operations.items():
        permission = TABLE[OPERATIONS[name]]
        assert operation["security"] == ([] if permission is OPEN else EITHER)
        if permission is not OPEN:
            assert permission.role in operation["description"]


def test_what_is_answered_without_a_right_is_described(operations):
    """401 with its challenge, 403, 429 with when to come again; 404 for what is somebody else's."""
    for name, operation in operations.items():
        if TABLE[OPERATIONS[name]] is OPEN:
            continue
        assert {"401", "403", "429"} <= operation["responses"].keys()
        assert "WWW-Authenticate" in operation["responses"]["401"]["headers"]
        assert "Retry-After" in operation["responses"]["429"]["headers"]
        if any(parameter.get("name") == "id" for parameter in operation["parameters"]):
            assert "404" in operation["responses"]


def test_where_no_key_is_needed_none_is_demanded():
    """It may be sent all the same."""
    operation = build(required=False)["paths"]["/v1/analyses"]["get"]
    assert operation["security"] == [{}, *EITHER]


@pytest.mark.parametrize("settings", [{"access": Access(auth="required")}, {"access": Access(auth="off")}])
def test_the_description_is_that_of_the_installation(client, settings):
    """As it is set."""
    security = client.get("/openapi.json").get_json()["paths"]["/v1/analyses"]["get"]["security"]
    assert ({} in security) is (settings["access"].auth == "off")
