"""Errors as RFC 9457 problem documents: the only table from error code to HTTP status. Knows no Flask."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from service.errors import ErrorInfo
from service.language import Message, from_data, verbatim
from service.translation import DEFAULT, Say, encoder, speaker
from service.views import escape
from service.web.titles import TITLES

CONTENT_TYPE = "application/problem+json"

STATUSES: dict[str, HTTPStatus] = {
    # the content of the upload: understood as a request, refused as a model
    "invalid_input": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unknown_format": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "malformed_file": HTTPStatus.UNPROCESSABLE_ENTITY,
    "truncated_file": HTTPStatus.UNPROCESSABLE_ENTITY,
    "inconsistent_archive": HTTPStatus.UNPROCESSABLE_ENTITY,
    "encrypted_file": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unsupported_feature": HTTPStatus.UNPROCESSABLE_ENTITY,
    "limit_exceeded": HTTPStatus.UNPROCESSABLE_ENTITY,
    "invalid_spec": HTTPStatus.UNPROCESSABLE_ENTITY,
    "malformed_json": HTTPStatus.UNPROCESSABLE_ENTITY,
    # the request
    "bad_request": HTTPStatus.BAD_REQUEST,
    "nothing_uploaded": HTTPStatus.BAD_REQUEST,
    "upload_cut": HTTPStatus.BAD_REQUEST,
    "upload_stalled": HTTPStatus.REQUEST_TIMEOUT,
    "upload_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "quota_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "misdirected_request": HTTPStatus.MISDIRECTED_REQUEST,
    "not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "not_acceptable": HTTPStatus.NOT_ACCEPTABLE,
    "not_finished": HTTPStatus.CONFLICT,
    "cancelled": HTTPStatus.CONFLICT,
    "upload_gone": HTTPStatus.CONFLICT,
    "outdated_report": HTTPStatus.CONFLICT,
    "side_unavailable": HTTPStatus.CONFLICT,
    "idempotency_key_reused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "left_failed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "right_failed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "left_gone": HTTPStatus.CONFLICT,
    "right_gone": HTTPStatus.CONFLICT,
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    # the confined child: its end is the content's doing
    "worker_cancelled": HTTPStatus.CONFLICT,
    "worker_failed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "worker_timeout": HTTPStatus.UNPROCESSABLE_ENTITY,
    "worker_crashed": HTTPStatus.UNPROCESSABLE_ENTITY,
    "worker_out_of_memory": HTTPStatus.UNPROCESSABLE_ENTITY,
    # the service
    "service_error": HTTPStatus.SERVICE_UNAVAILABLE,
    "framework_missing": HTTPStatus.NOT_IMPLEMENTED,
    "worker_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "overloaded": HTTPStatus.SERVICE_UNAVAILABLE,
    "tokens_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "storage_full": HTTPStatus.INSUFFICIENT_STORAGE,
    "database_damaged": HTTPStatus.SERVICE_UNAVAILABLE,
    "report_damaged": HTTPStatus.SERVICE_UNAVAILABLE,
    "input_lost": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal_error": HTTPStatus.INTERNAL_SERVER_ERROR,
}

CODES: dict[int, str] = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "upload_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
    503: "service_error",
}
"""Codes of errors that only HTTP knows; other statuses are called by their names."""

RESERVED = frozenset(
    (
        "type",
        "title",
        "status",
        "detail",
        "code",
        "request_id",
        "instance",
        "member",
        "offset",
        "pointer",
        "hint",
        "analysis",
        "comparison",
    )
)


def status_of(code: str) -> HTTPStatus:
    """The HTTP status of an error code."""
    return STATUSES.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)


def code_of(status: int) -> str:
    """The code of an error that HTTP itself raises."""
    return CODES.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")


def problem(
    info: ErrorInfo,
    *,
    request_id: str,
    instance: str | None = None,
    status: int | None = None,
) -> dict[str, Any]:
    """The problem document of an error. Fields that say nothing are left out."""
    known = {
        "type": f"urn:weighbridge:problem:{info.code}",
        "title": TITLES.get(info.code) or verbatim(info.code.replace("_", " ").capitalize()),
        "status": int(status or status_of(info.code)),
        "detail": info.detail,
        "code": info.code,
        "request_id": request_id,
        "instance": instance,
        "member": info.member,
        "offset": info.offset,
        "pointer": info.pointer,
        "hint": info.hint,
    }
    extra = {name: _fact(name, value) for name, value in info.extra.items() if name not in RESERVED}
    return {name: value for name, value in known.items() if value is not None} | extra


def _fact(name: str, value: Any) -> Any:
    """One further fact of an error. What is for people was data while the error was stored: it is a message again."""
    if name == "looks_like" and isinstance(value, str):
        return Message(value)
    if name == "files" and isinstance(value, dict):
        return {file: _fact("looks_like", seen) for file, seen in value.items()}
    if name == "errors" and isinstance(value, list):
        return [each | {"detail": _message(each.get("detail"))} if isinstance(each, dict) else each for each in value]
    return value


def _message(data: Any) -> Any:
    try:
        return data if isinstance(data, Message) else from_data(Message, data)
    except ValueError:
        return data


def encode(document: Any, language: str = DEFAULT) -> bytes:
    """JSON bytes with every message said in `language`; text that no UTF-8 can hold is replaced, what acts escaped."""
    try:
        return escape.json(encoder(language).encode(document))
    except UnicodeEncodeError:
        return escape.json(encoder(language).encode(_valid(document, speaker(language))))


def _valid(value: Any, say: Say) -> Any:
    if isinstance(value, Message):
        value = say(value)
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, dict):
        return {_valid(key, say): _valid(item, say) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_valid(item, say) for item in value]
    return value
