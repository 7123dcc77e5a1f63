"""The resource /v1/analyses/{id}/layers/{path}."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
import pytest

from schemas.analysis import LayerAnswerSchema
from service.enrich import pipeline
from service.web.layers import AROUND, near
from tests import builders, fakes

PATHS = (
    "encoder/block_0/dense", "encoder.layer.0.attention", "模型/层", "a b?c#d%e&f", "line\nbreak", ";x=1", "a//b",
    "/rooted", "..", ".", "tail/", "\u202eoverride", "<script>",
)  # fmt: skip


@pytest.fixture
def here(send, monkeypatch):
    """The analysis of a model with odd names."""
    layers = [builders.layer(path, "linear", builders.weight("kernel", (2, 3), "kernel")) for path in PATHS]
    made = pipeline.enrich(builders.model("keras", *layers))
    monkeypatch.setattr(fakes, "MODEL", msgspec.structs.replace(fakes.MODEL, layers=made.layers))
    return send(b"model").headers["Location"]


@pytest.mark.parametrize("path", PATHS)
def test_any_path_can_be_asked_for(client, here, path):
    """Percent-encoded as a whole; the answer leads back to itself."""
    response = client.get(f"{here}/layers/{quote(path, safe='')}")
    assert response.status_code == 200, response.text
    found = LayerAnswerSchema().load(response.get_json())
    assert found["layer"]["path"] == path
    assert f"/v1/analyses/{found['analysis']}" == here == found["links"]["analysis"]
    assert found["layer"]["explanation"]["total"] == 6
    again = client.get(found["links"]["self"])
    assert again.get_json() == response.get_json()


def test_slashes_may_stand_as_they_are(client, here):
    """As a person types them, also a leading one."""
    for path in ("encoder/block_0/dense", "/encoder/block_0/dense", "encoder/block_0/dense/", "a//b", "rooted"):
        response = client.get(f"{here}/layers/{path}")
        expected = {"rooted": 404}.get(path, 200)
        assert response.status_code == expected, path


def test_an_empty_path_is_the_model_itself(client, here):
    """Clients drop a step that is a dot."""
    for path in ("layers/", "layers", "layers/.", "layers/%2E"):
        assert client.get(f"{here}/{path}").get_json()["layer"]["path"] == "."


def test_a_layer_that_there_is_not_names_those_near(client, here):
    """404 with what was probably meant."""
    response = client.get(f"{here}/layers/encoder/block_1/dense")
    assert (response.status_code, response.get_json()["code"]) == (404, "not_found")
    assert response.get_json()["near"][0] == "encoder/block_0/dense"
    assert "encoder/block_0/dense" in response.get_json()["detail"]
    assert client.get(f"{here}/layers/{'x' * 3000}").status_code == 404


def test_it_is_not_sent_again(client, here):
    """304 for the same tag; another language has another."""
    first = client.get(f"{here}/layers/tail%2F")
    assert client.get(f"{here}/layers/tail%2F", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert first.headers["Content-Language"] == "en"


def test_there_is_none_before_the_end_and_of_no_analysis(client, send):
    """409 and 404 as for the report."""
    running = send(b"hang", path="/v1/analyses?wait=0").headers["Location"]
    assert client.get(f"{running}/layers/dense").status_code == 409
    assert client.get("/v1/analyses/01a1fc66-bc3c-70cd-976b-f03c599b3780/layers/x").status_code == 404


def test_near_paths_are_those_that_look_or_end_alike():
    """However many layers there are."""
    known = [f"block/{number}/dense" for number in range(3 * AROUND)] + ["norm", "classifier/head"]
    assert "block/17/dense" in near("block/17/Dense", known)
    assert near("nrom", known) == ["norm"]
    assert near("head", known) == ["classifier/head"]
    assert near("zzzzzz", known) == []
    assert len(near("dense", known)) == 5
    assert near("", known) == []
