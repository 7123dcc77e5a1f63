"""The OpenAPI description and the page over it."""

from __future__ import annotations

import re

import pytest
from openapi_spec_validator import validate

from service.errors import BY_CODE
from service.web.app import create_app

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
PAGE_ROUTES = re.compile(r"/docs/assets/.*")


@pytest.fixture
def description(client):
    return client.get("/openapi.json").get_json()


def test_it_is_valid_openapi_3_1(description):
    """By the official schema."""
    assert description["openapi"].startswith("3.1")
    validate(description)


def test_every_route_and_method_is_described_and_no_other(parts, description):
    """Adding a route without describing it fails here."""
    routes = {
        (_described(rule.rule), method)
        for rule in create_app(parts).url_map.iter_rules()
        for method in rule.methods & METHODS
        if not PAGE_ROUTES.fullmatch(rule.rule)
    }
    described = {(path, method.upper()) for path, item in description["paths"].items() for method in item}
    assert described == routes


def _described(rule):
    """The rule as OpenAPI writes it."""
    for ours, theirs in (("<id:identifier>", "{id}"), ("<anything:path>", "{path}"), ("<name>", "{kind}")):
        rule = rule.replace(ours, theirs)
    return rule


def test_every_operation_has_its_own_name_and_a_problem_answer(description):
    """Generated clients need both."""
    operations = [operation for item in description["paths"].values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}


def test_every_error_code_is_named(description):
    """So that a client can know them all."""
    text = description["paths"]["/v1/analyses"]["post"]["responses"]["default"]["description"]
    assert all(code in text for code in BY_CODE)


def test_every_field_is_described(description):
    """No schema of ours leaves a field unexplained."""
    missing = [
        (name, field)
        for name, schema in description["components"]["schemas"].items()
        for field, inside in schema.get("properties", {}).items()
        if "description" not in inside and not ("$ref" in inside or "allOf" in inside or "anyOf" in inside)
    ]
    assert missing == []


def test_the_page_needs_nothing_from_elsewhere(client):
    """Every asset it names is served here, with a type, and the policy allows no other host."""
    page = client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r"https?://|//[a-z]", page.text)
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) >= 4
    for asset in assets:
        response = client.get(asset)
        assert (response.status_code, response.headers["X-Content-Type-Options"]) == (200, "nosniff")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy


@pytest.mark.parametrize("name", ["index.css", "../flask_swagger_ui.py", "..%2f..%2f", "LICENSE"])
def test_only_the_assets_the_page_needs_are_served(client, name):
    """By a fixed list of names."""
    assert client.get(f"/docs/assets/{name}").status_code == 404
