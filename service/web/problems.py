"""Errors as RFC 9457 problem documents: the only table from error code to HTTP status. Knows no Flask."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from service.errors import BY_CODE, ErrorInfo

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
    "not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "not_acceptable": HTTPStatus.NOT_ACCEPTABLE,
    "not_finished": HTTPStatus.CONFLICT,
    "cancelled": HTTPStatus.CONFLICT,
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
    "storage_full": HTTPStatus.INSUFFICIENT_STORAGE,
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

TITLES: dict[str, str] = {
    code: (kind.__doc__ or "").strip().splitlines()[0].partition(";")[0].rstrip(".") for code, kind in BY_CODE.items()
} | {"internal_error": "The service failed"}

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
    )
)

_encoder = msgspec.json.Encoder()


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
    analysis: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The problem document of an error. Fields that say nothing are left out."""
    known = {
        "type": f"urn:weighbridge:problem:{info.code}",
        "title": TITLES.get(info.code) or info.code.replace("_", " ").capitalize(),
        "status": int(status or status_of(info.code)),
        "detail": info.detail,
        "code": info.code,
        "request_id": request_id,
        "instance": instance,
        "member": info.member,
        "offset": info.offset,
        "pointer": info.pointer,
        "hint": info.hint,
        "analysis": analysis,
    }
    extra = {name: value for name, value in info.extra.items() if name not in RESERVED}
    return {name: value for name, value in known.items() if value is not None} | extra


def encode(document: Any) -> bytes:
    """JSON bytes; text that no UTF-8 can hold is replaced."""
    try:
        return _encoder.encode(document)
    except UnicodeEncodeError:
        return _encoder.encode(_valid(document))


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, dict):
        return {_valid(key): _valid(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_valid(item) for item in value]
    return value
