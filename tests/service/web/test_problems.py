"""One table from code to status, and one shape of document."""

from __future__ import annotations

import json

import msgspec
import pytest

from service.builders.common import Problems
from service.errors import BY_CODE, ErrorInfo, InputError, InvalidSpec, LimitExceeded, RequestError, WorkerError
from service.language import as_data, from_data, msg
from service.parsers.suggest import did_you_mean
from service.web.problems import CODES, STATUSES, code_of, encode, problem
from service.web.titles import TITLES


def test_every_error_has_a_status_and_a_title():
    """Nothing in the tree is forgotten, and nothing in the table is stale."""
    assert set(STATUSES) == set(BY_CODE) == set(TITLES)
    assert set(CODES.values()) <= set(STATUSES)


def test_nothing_a_client_sends_is_a_server_error():
    """Content, requests and the children that read them are 4xx."""
    for code, kind in BY_CODE.items():
        if issubclass(kind, (InputError, RequestError, WorkerError)):
            assert 400 <= STATUSES[code] < 500, code


def test_a_problem_says_where_and_what_to_do():
    """RFC 9457 members, ours, and the error's own; empty ones are left out."""
    info = LimitExceeded("layers", 5, "Too many layers.", value=7, member="config.json", offset=3).info
    assert json.loads(encode(problem(info, request_id="r", instance="/x"))) == {
        "type": "urn:weighbridge:problem:limit_exceeded",
        "title": "A named limit was met",
        "status": 422,
        "detail": "Too many layers.",
        "code": "limit_exceeded",
        "request_id": "r",
        "instance": "/x",
        "member": "config.json",
        "offset": 3,
        "limit": "layers",
        "maximum": 5,
        "value": 7,
    }


def test_an_error_s_extras_cannot_replace_the_standard_members():
    """What a child says does not become our status."""
    info = ErrorInfo(code="bad_request", detail="d", extra={"status": 200, "code": "fine", "seen": 1})
    document = problem(info, request_id="r")
    assert (document["status"], document["code"], document["seen"]) == (400, "bad_request", 1)


def test_any_text_can_be_encoded():
    """Lone surrogates are replaced, not an error."""
    assert json.loads(encode({"a": ["\ud800", {"b": 1}]})) == {"a": ["?", {"b": 1}]}


def test_statuses_that_only_http_knows_have_codes_too():
    """By their names."""
    assert code_of(405) == "method_not_allowed"
    assert code_of(414) == "request_uri_too_long"
    assert code_of(417) == "expectation_failed"


def test_what_an_error_lists_is_said_in_the_reader_s_language():
    """Also after the error crossed the wall and was stored: the problems of a spec, and what a file looks like."""
    problems = Problems()
    problems.add("layers[0]", msg("{label}: {name} {problem}", label="a", name="units", problem=msg("is required.")))
    problems.add("layers[1]", msg("{place} must be the name of a layer.", place="b"), did_you_mean("Denze", ["Dense"]))
    with pytest.raises(InvalidSpec) as raised:
        problems.raise_if_any()
    stored = msgspec.json.encode(raised.value.info, enc_hook=as_data)
    info = msgspec.json.decode(stored, type=ErrorInfo, dec_hook=from_data)
    said = json.loads(encode(problem(info, request_id="r")))
    assert said["detail"] == "a: units is required. (1 more problem listed in errors.)"
    assert [each["detail"] for each in said["errors"]] == [
        "a: units is required.",
        'b must be the name of a layer. Did you mean "Dense"?',
    ]
    assert "Dense" in json.loads(encode(problem(info, request_id="r"), "zh-Hans"))["errors"][1]["detail"]
    assert "must" not in encode(problem(info, request_id="r"), "zh-Hans").decode()


def test_what_a_file_looks_like_is_said_too():
    """One phrase for each file; what is none of ours stays as it is."""
    extra = {"looks_like": "a text file", "files": {"x": "a script", "y": 1}, "errors": [{"detail": {"odd": 1}}, 2]}
    info = ErrorInfo(code="unknown_format", detail=msg("d"), extra=extra)
    document = json.loads(encode(problem(info, request_id="r"), "zh-Hans"))
    assert document["looks_like"] == "文本文件"
    assert document["files"] == {"x": "脚本", "y": 1}
    assert document["errors"] == [{"detail": {"odd": 1}}, 2]
