"""The resource /v1/kinds."""

from __future__ import annotations

from schemas.analysis import KindsSchema
from schemas.kinds import KindInfoSchema
from service.vocabulary import KINDS


def test_the_catalogue_is_read_without_a_model(client):
    """Every kind that a layer can be of."""
    response = client.get("/v1/kinds")
    found = KindsSchema().load(response.get_json())["items"]
    assert {item["kind"] for item in found} == set(KINDS)
    assert client.get("/v1/kinds", headers={"If-None-Match": response.headers["ETag"]}).status_code == 304


def test_each_kind_can_be_asked_for(client):
    """The same as in the list."""
    for item in client.get("/v1/kinds").get_json()["items"]:
        response = client.get(f"/v1/kinds/{item['kind']}")
        assert response.get_json() == item
        KindInfoSchema().load(response.get_json())
        assert response.headers["Content-Language"] == "en"


def test_a_kind_that_there_is_not_names_one_near(client):
    """404."""
    response = client.get("/v1/kinds/batchnorm")
    assert (response.status_code, response.get_json()["near"]) == (404, ["batch_norm"])
    assert client.get(f"/v1/kinds/{'x' * 500}").status_code == 404
