"""Layers, kinds, languages, views, statistics and comparisons as a client meets them."""

from __future__ import annotations

import gzip
import json
from urllib.parse import quote

import pytest

from schemas.analysis import AnalysisSchema, KindsSchema, LayerAnswerSchema
from schemas.comparison import ComparisonJobSchema
from tests.http.conftest import ROOT

RAW = {"Content-Type": "application/octet-stream"}
SAMPLES = ROOT / "docs" / "samples"
CHINESE = {"zh-Hans": "zh-CN", "zh-Hant": "zh-TW"}


@pytest.fixture(scope="module")
def digits(service):
    """`digits("digits.keras")` is the analysis of a sample."""
    known = {}

    def analysis(name):
        if name not in known:
            body = (SAMPLES / name).read_bytes()
            response = service.ask("POST", f"/v1/analyses?wait=60&filename={name}", body=body, headers=RAW)
            assert response.status == 201, response.data
            known[name] = AnalysisSchema().load(response.json())
        return known[name]

    return analysis


def test_every_layer_of_a_report_has_an_address(service, digits):
    """With its findings, its kind and its blocks."""
    found = digits("digits.keras")
    for layer in found["report"]["layers"]:
        response = service.ask("GET", f"{found['links']['self']}/layers/{quote(layer['path'], safe='')}")
        assert response.status == 200, response.data
        shown = LayerAnswerSchema().load(response.json())
        assert shown["layer"] == layer
        assert shown["kind"]["kind"] == layer["kind"]


def test_the_catalogue_of_kinds_needs_no_model(service):
    """All kinds, and one."""
    kinds = KindsSchema().load(service.ask("GET", "/v1/kinds").json())["items"]
    assert len(kinds) > 30
    assert service.ask("GET", "/v1/kinds/batch_norm").json()["kind"] == "batch_norm"


@pytest.mark.parametrize("language", CHINESE)
def test_the_same_stored_report_is_read_in_three_languages(service, digits, language):
    """By name or by what the browser accepts; only sentences differ."""
    here = digits("digits.keras")["links"]["report"]
    english = service.ask("GET", here).json()
    named = service.ask("GET", f"{here}?lang={language}")
    accepted = service.ask("GET", here, headers={"Accept-Language": f"{CHINESE[language]}, en;q=0.5"})
    assert named.headers["Content-Language"] == accepted.headers["Content-Language"] == language
    assert named.json() == accepted.json()
    texts = [
        [layer["explanation"]["text"] for layer in report["layers"] if layer["explanation"]]
        for report in (english, named.json())
    ]
    assert all(one != other for one, other in zip(*texts, strict=True))
    assert english["totals"] == named.json()["totals"]


@pytest.mark.parametrize(
    ("name", "begins"),
    [("html", b"<!DOCTYPE html>"), ("svg", b"<svg"), ("dot", b"digraph"), ("mermaid", b""), ("markdown", b"#")],
)
def test_a_report_has_pictures_and_pages(service, digits, name, begins):
    """Compressed for who takes it."""
    here = digits("digits.keras")["links"]["report"]
    response = service.ask("GET", f"{here}?format={name}", headers={"Accept-Encoding": "gzip"}, decode_content=False)
    body = gzip.decompress(response.data) if response.headers.get("Content-Encoding") == "gzip" else response.data
    assert response.status == 200
    assert body.lstrip().startswith(begins)
    assert b"dropout" in body.lower()


def test_costs_are_worked_out_for_a_batch(service, digits):
    """Twice the examples, twice the work."""
    here = digits("digits.keras")["links"]["report"]
    one, two = (service.ask("GET", f"{here}?batch={batch}").json()["cost"] for batch in (1, 2))
    assert two["macs"]["value"] == 2 * one["macs"]["value"] > 0


def test_two_samples_are_compared(service, digits):
    """The same network in both frameworks: the gap is what the causes say, in a sentence to quote."""
    body = {"left": digits("digits.keras")["id"], "right": digits("digits_module.pt")["id"]}
    response = service.ask("POST", "/v1/comparisons?wait=60", json=body)
    assert response.status == 201, response.data
    found = ComparisonJobSchema().load(response.json())["comparison"]
    assert found["gap"] == -16
    assert found["unexplained"] == 0
    assert sum(cause["count"] for cause in found["causes"]) == -16
    for name in ("text", "markdown", "html"):
        shown = service.ask("GET", f"{response.headers['Location']}?format={name}")
        assert (shown.status, b"16" in shown.data) == (200, True)


def test_two_files_are_compared_with_their_values(service):
    """Sent along as a form; each side becomes an analysis."""
    files = {
        "left": ("digits.keras", (SAMPLES / "digits.keras").read_bytes()),
        "right": ("digits.weights.h5", (SAMPLES / "digits.weights.h5").read_bytes()),
        "values": "true",
    }
    response = service.ask("POST", "/v1/comparisons?wait=60", fields=files)
    assert response.status == 201, response.data
    found = ComparisonJobSchema().load(response.json())
    verdicts = {
        weight["difference"]["verdict"]
        for layer in found["comparison"]["layers"]
        for weight in layer["weights"]
        if weight["difference"]
    }
    assert verdicts == {"equal"}
    assert service.ask("GET", found["links"]["right"]).json()["name"] == "digits.weights.h5"


def test_a_side_that_is_no_model_is_named(service):
    """422 or 415 with which of both."""
    files = {"left": ("a.keras", (SAMPLES / "digits.keras").read_bytes()), "right": ("b.txt", b"just some text\n" * 20)}
    response = service.ask("POST", "/v1/comparisons?wait=60", fields=files)
    problem = json.loads(response.data)
    assert (response.status, problem["side"], problem["cause"]) == (422, "right", "unknown_format")


def test_statistics_are_made_when_asked_for(service, digits):
    """Later, on an analysis that there is; in each weight."""
    found = digits("digits.keras")
    response = service.ask("GET", f"{found['links']['self']}?stats=true&wait=60")
    assert response.status == 200, response.data
    measured = AnalysisSchema().load(response.json())
    weights = [weight for layer in measured["report"]["layers"] for weight in layer["weights"]]
    assert weights
    assert all(weight["statistics"]["count"] == weight["count"] for weight in weights)
    again = service.ask("GET", f"{found['links']['self']}/layers/norm?stats=true").json()
    assert again["layer"]["weights"][0]["statistics"]["status"] == "complete"
