"""Requests that are wrong, as hurried and hostile clients make them: always a problem that says what and where."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.analysis import ProblemSchema
from service.web import examples
from tests.http.conftest import ROOT, answer

RAW = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}
SAMPLES = ROOT / "docs" / "samples"
NOBODY = "01935f5e-9d1c-7b5a-8c3e-2f6a1d4b7e90"


@pytest.fixture(scope="module")
def sides(service: Any) -> dict[str, str]:
    """Ids of two analyses."""
    found = {}
    for side, name in (("left", "digits.keras"), ("right", "digits_module.pt")):
        body = (SAMPLES / name).read_bytes()
        found[side] = service.ask("POST", f"/v1/analyses?wait=60&filename={name}", body=body, headers=RAW).json()["id"]
    return found


def refused(response: Any, status: int, pointer: str | None = None) -> dict[str, Any]:
    """A problem document with a sentence and a place; checked against its schema."""
    assert response.status == status, response.data
    assert response.headers["Content-Type"] == "application/problem+json"
    found: dict[str, Any] = ProblemSchema().load(response.json())
    assert found["detail"]
    assert found.get("pointer") == pointer, found
    return found


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"", 400, "body"), (b"null", 400, "body"), (b"[]", 400, "body"), (b"3", 400, "body"), (b"NaN", 400, "body"),
        (b"\xff\xfe{}", 400, "body"), (b'{"left": "\xff"}', 400, "body"), (b'{"left": "\\ud800"}', 400, "body"),
        (b"[" * 10_000, 400, "body"), (b'{"a":' * 5_000, 400, "body"), (b'{"left": 1e999}', 400, "body"),
        (b"{}", 400, "left"), (b'{"left": "a", "left": "b"}', 400, "right"),
        (b'{"left": "' + b"a" * 70_000 + b'"}', 413, None),
    ],
)  # fmt: skip
def test_bodies_that_name_no_comparison(service: Any, body: bytes, status: int, pointer: str | None) -> None:
    """Broken, of another type, empty, too deep, too large."""
    refused(service.ask("POST", "/v1/comparisons", body=body, headers=JSON), status, pointer)


@pytest.mark.parametrize(
    ("changed", "status", "pointer"),
    [
        ({"right": "nope"}, 404, "right"), ({"left": NOBODY}, 404, "left"), ({"left": ""}, 404, "left"),
        ({"left": "\0"}, 404, "left"), ({"left": "x" * 200}, 400, "left"), ({"left": None}, 400, "left"),
        ({"left": 1}, 400, "left"), ({"right": ["x"]}, 400, "right"), ({"right": {"id": "x"}}, 400, "right"),
        ({"values": "true"}, 400, "values"), ({"values": 1}, 400, "values"), ({"values": 0}, 400, "values"),
        ({"values": None}, 400, "values"), ({"values": []}, 400, "values"), ({"wait": 3}, 400, "wait"),
    ],
)  # fmt: skip
def test_comparisons_of_what_there_is_not(
    service: Any, sides: dict[str, str], changed: dict[str, Any], status: int, pointer: str
) -> None:
    """One field of a good body is wrong."""
    refused(service.ask("POST", "/v1/comparisons", json=sides | changed), status, pointer)


MODEL = ("m.keras", (SAMPLES / "digits.keras").read_bytes())
TEXT = ("m.txt", b"just some text\n" * 20)


@pytest.mark.parametrize(
    ("fields", "status", "pointer"),
    [
        ([("left", MODEL)], 400, "right"), ([("right", MODEL)], 400, "left"), ([("values", "true")], 400, "left"),
        ([("left", MODEL), ("right", ("m.keras", b""))], 400, "right"),
        ([("left", MODEL), ("right", MODEL), ("third", MODEL)], 400, "third"),
        ([("left", MODEL), ("left", MODEL), ("right", MODEL)], 400, "left[1].filename"),
        ([("left", ("../m", b"x")), ("right", MODEL)], 400, "left[0].filename"),
        ([("left", MODEL), ("right", MODEL), ("values", "maybe")], 400, "values"),
        ([("left", MODEL), ("right", MODEL), ("values", "true"), ("values", "true")], 400, "values"),
        ([("left", MODEL), ("right", ("m.png", b"\x89PNG\r\n\x1a\n" + bytes(99)))], 415, "right"),
    ],
)  # fmt: skip
def test_forms_that_are_no_comparison(service: Any, fields: list[Any], status: int, pointer: str) -> None:
    """A side is missing, empty, doubled, no model; a field is not known. Nothing of it is kept."""
    before = service.ask("GET", "/v1/analyses").json()["items"][:1]
    refused(service.ask("POST", "/v1/comparisons?wait=30", fields=fields), status, pointer)
    assert service.ask("GET", "/v1/analyses").json()["items"][:1] == before
    assert not service.left_behind()


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_that_fails_is_named(service: Any, side: str) -> None:
    """422 with the side and what it failed of; also when its analysis is named by id afterwards."""
    other = "right" if side == "left" else "left"
    found = refused(service.ask("POST", "/v1/comparisons?wait=60", fields={side: TEXT, other: MODEL}), 422)
    assert (found["code"], found["side"], found["cause"]) == (f"{side}_failed", side, "unknown_format")
    both = {name: found["comparison"]["links"][name].rpartition("/")[2] for name in ("left", "right")}
    assert refused(service.ask("POST", "/v1/comparisons?wait=60", json=both), 422)["side"] == side


@pytest.mark.parametrize("kind", ["", "text/json", "application/xml", "multipart/mixed; boundary=x", "a/b" * 999])
def test_a_comparison_of_another_type(service: Any, kind: str) -> None:
    """415 with the header."""
    response = service.ask("POST", "/v1/comparisons", body=b"{}", headers={"Content-Type": kind})
    refused(response, 415, "Content-Type")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        *((f"batch={value}", "batch") for value in ("0", "-1", "1.5", "1048577", "9" * 30, "x", "", "true")),
        *(
            (f"input_shape={value}", "input_shape")
            for value in ("", "0", "-1", "a", "1,2,", ",", ";", "4;", "9" * 11, "1,2,3,4,5,6,7,8,9", "%00", "1;" * 99)
        ),
        *((f"rules={value}", "rules") for value in ("", "nope", "-", "all,none", "all,", "-all", "%00", "--zero")),
        ("rules=zero_weights,-zero_weights", "rules"), ("level=", "level"), ("level=all", "level"),
        ("lang=xx", "lang"), ("lang=", "lang"), ("stats=maybe", "stats"), ("stats=", "stats"),
        *((f"wait={value}", "wait") for value in ("abc", "nan", "inf", "-1", "60.1", "")),
        ("unknown=1", "unknown"), ("batch=1&batch=2", "batch"), ("lang=en&lang=zh-Hans", "lang"), ("%00=1", "\0"),
        ("format=" + "a" * 200, "format"),
    ],
)  # fmt: skip
def test_parameters_that_mean_nothing(service: Any, sides: dict[str, str], query: str, pointer: str) -> None:
    """400 with the parameter, on the report and, where it has it, on the layer."""
    here = f"/v1/analyses/{sides['left']}"
    refused(service.ask("GET", f"{here}/report?{query}"), 400, pointer)
    refused(service.ask("GET", f"{here}/layers/norm?{query}"), 400, query.partition("=")[0].replace("%00", "\0"))


@pytest.mark.parametrize("named", ["xml", "JSON", "", "%00", "svg "])
def test_formats_that_are_not_made(service: Any, sides: dict[str, str], named: str) -> None:
    """406 with those that are."""
    found = refused(
        service.ask("GET", f"/v1/analyses/{sides['left']}/report?format={quote(named, safe='%')}"), 406, "format"
    )
    assert "image/svg+xml" in found["available"]


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN", "zh-Hans"), ("zh-TW;q=0.8, en;q=0.9", "en"), ("en-GB;q=0.5,zh-MO;q=0.6", "zh-Hant"), ("de", "en"),
        ("en;q=0, *", "zh-Hans"), ("zh;q=abc", "en"), ("zh;q=2", "en"), ("zh;q=-1", "en"), (";;;,,,", "en"),
        ("*;q=0", "en"), ("en;q=nan, zh;q=0.1", "zh-Hans"), ("x" * 5_000, "en"), ("zh-CN" + ",zh" * 1_000, "zh-Hans"),
        ("zh\xe9", "en"), ("ZH-hant", "zh-Hant"), ("zh-hans;q=0.001, en;q=0", "zh-Hans"),
    ],
)  # fmt: skip
def test_languages_however_they_are_asked_for(service: Any, accepted: str, language: str) -> None:
    """An answer in one of ours, never a failure."""
    response = service.ask("GET", "/v1/kinds/batch_norm", headers={"Accept-Language": accepted.encode("latin-1")})
    assert (response.status, response.headers["Content-Language"]) == (200, language)


def test_a_language_is_named_in_any_letter_case(service: Any) -> None:
    """As BCP 47 has it."""
    response = service.ask("GET", "/v1/kinds/batch_norm?lang=ZH-hANT")
    assert (response.status, response.headers["Content-Language"]) == (200, "zh-Hant")


@pytest.mark.parametrize(
    "path",
    ["%00", "norm%00", "%2F", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%ff", "%c3%28", "%E4%BD%A0%E5%A5%BD", "%0a", "%20",
     "norm%3Flang=en", "norm;x=1", "%5c", "%25", "x" * 4_000, "a/" * 1_500, "Norm"],
)  # fmt: skip
def test_layers_that_there_are_not(service: Any, sides: dict[str, str], path: str) -> None:
    """404 that says where the paths are, whatever bytes the address is made of."""
    request = f"GET /v1/analyses/{sides['left']}/layers/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, headers, body = answer(service.raw(request.encode()))
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    found = json.loads(body)
    assert found["hint"] == "The report lists all layers with their paths."
    assert found.get("near", []) == (["norm"] if "norm" in path.lower() else [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/comparisons", 405), ("PUT", "/v1/comparisons", 405), ("POST", "/v1/kinds", 405),
        ("DELETE", "/v1/kinds/batch_norm", 405), ("GET", "/v1/comparisons/nope", 404), ("GET", "/v1/kinds/%00", 404),
        ("GET", f"/v1/comparisons/{NOBODY}", 404), ("DELETE", f"/v1/comparisons/{NOBODY}", 404),
        ("GET", f"/v1/comparisons/{NOBODY}?format=svg", 406), ("GET", "/v1/kinds?foo=1", 400),
        ("FOO", "/v1/kinds", 405), ("GET", "/v1/kinds/" + "x" * 3_000, 404), ("GET", "/v1/kinds?lang=xx", 400),
    ],
)  # fmt: skip
def test_resources_that_there_are_not(service: Any, method: str, path: str, status: int) -> None:
    """The right one of 404, 405, 406 and 400, as a problem."""
    response = service.pool.urlopen(method, path)
    assert (response.status, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert ProblemSchema().load(response.json())["status"] == status


def test_an_analysis_is_no_comparison(service: Any, sides: dict[str, str]) -> None:
    """Nor the other way round: neither is shown or deleted as the other."""
    made = service.ask("POST", "/v1/comparisons?wait=60", json=sides).json()["id"]
    for address in (f"/v1/comparisons/{sides['left']}", f"/v1/analyses/{made}"):
        assert [service.ask(method, address).status for method in ("GET", "DELETE")] == [404, 404]
    assert service.ask("POST", "/v1/comparisons", json={"left": sides["left"], "right": made}).status == 404


def test_the_examples_of_the_description_are_answered(service: Any, sides: dict[str, str]) -> None:
    """Each spec is analysed, each comparison made once its ids are those of analyses, and the problem is as shown."""
    for spec in examples.SPECS.values():
        response = service.ask("POST", "/v1/analyses?wait=60", body=json.dumps(spec["value"]), headers=JSON)
        assert response.status == 201, response.data
    for body in examples.COMPARISON.values():
        assert service.ask("POST", "/v1/comparisons?wait=60", json=body["value"] | sides).status == 201
    shown = examples.PROBLEM
    response = service.ask("GET", f"{shown['instance']}?batch=0", headers={"X-Request-Id": shown["request_id"]})
    assert (response.status, response.json()) == (400, shown)


def test_numbers_are_well_formed_and_bounded(service: Any, sides: dict[str, str]) -> None:
    """Each family once, none by process; comparisons beside analyses; a made-up method is no label."""
    service.ask("POST", "/v1/comparisons?wait=60", json=sides | {"values": True})
    service.pool.urlopen("MADEUP", "/v1/kinds")
    text = service.ask("GET", "/metrics").data.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    kinds = [line for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(kinds) == len({line.split()[2] for line in kinds})
    samples = [sample for family in families.values() for sample in family.samples]
    assert not any("pid" in sample.labels for sample in samples)
    assert {sample.labels["state"] for sample in families["weighbridge_jobs"].samples} == {
        "queued", "running", "succeeded", "failed", "cancelled"
    }  # fmt: skip
    assert {sample.labels["kind"] for sample in families["weighbridge_worker_warm"].samples} >= {"static", "values"}
    methods = {sample.labels["method"] for sample in families["weighbridge_requests"].samples}
    assert "other" in methods
    assert "MADEUP" not in methods
    ended = {sample.labels["state"]: sample.value for sample in families["weighbridge_comparisons"].samples}
    assert ended["succeeded"] >= 1
