"""Every way a request can fail, turned into one shape of answer. Knows Flask; the statuses are in `problems`."""

from __future__ import annotations

import errno
from typing import Any

import structlog
from flask import Flask, Response, g, request
from marshmallow import ValidationError
from marshmallow.exceptions import SCHEMA
from werkzeug.exceptions import HTTPException

from service.access.quotas import Standing
from service.errors import (
    ErrorInfo,
    NotFound,
    QuotaExceeded,
    RequestError,
    ServiceError,
    StorageFull,
    UnknownFormat,
    WeighbridgeError,
)
from service.jobs.blobs import FULL
from service.jobs.records import Analysis, ComparisonJob
from service.language import Message, msg, verbatim
from service.registry import formats
from service.web import documents
from service.web.body import end_connection_if_left
from service.web.languages import language
from service.web.problems import CONTENT_TYPE, code_of, encode, problem

DETAILS = {
    400: msg("The request cannot be understood."),
    404: msg("There is nothing at this address."),
    405: msg("What is at this address does not take this method."),
    406: msg("What is at this address cannot be made in any form that the client takes."),
    412: msg("What is at this address is not what the request expects there."),
    413: msg("The body is larger than the service takes."),
    415: msg("A body of this type is not taken."),
}
"""What HTTP itself says, as our own sentences."""
SHORT = (
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EIO, errno.EROFS, errno.EACCES,
    errno.EPERM, errno.EINTR, errno.EBUSY, errno.EFBIG,
)  # fmt: skip
"""What the system says where it has too little of something, or where a disk or folder takes no change."""
BODY = "body"
"""Where a mistake is that is none of one field."""
RETRY_AFTER = {408: "1", 429: "1", 503: "2", 507: "60"}

log = structlog.get_logger("weighbridge.web")


def register(app: Flask) -> None:
    """Answer every error of `app` as a problem document."""
    app.register_error_handler(WeighbridgeError, _known)
    app.register_error_handler(ValidationError, _invalid)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(OSError, _refused_by_system)
    app.register_error_handler(Exception, _unknown)


def answer(info: ErrorInfo, *, status: int | None = None, about: Analysis | ComparisonJob | None = None) -> Response:
    """The response of an error; `about` is the job that failed, if there is one."""
    if about is None:
        document = problem(info, request_id=g.request_id, instance=request.path, status=status)
    else:
        name, facts = _facts(about)
        document = problem(info, request_id=g.request_id, instance=facts["links"]["self"], status=status)
        document[name] = facts
    g.failure = info.code
    if info.code == QuotaExceeded.code and "window" in info.extra:
        _tell_quota(info.extra)
    if info.code == UnknownFormat.code:
        document["formats"] = [{"id": known.id, "title": known.title} for known in formats()]
    response = Response(encode(document, language()), document["status"], content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if about is not None:
        response.headers["Location"] = document["instance"]
    if document["status"] in RETRY_AFTER:
        response.headers["Retry-After"] = str(info.extra.get("retry_after", RETRY_AFTER[document["status"]]))
    if document["status"] == 401:
        response.headers["WWW-Authenticate"] = _challenge(info)
    end_connection_if_left(request)
    return response


def _tell_quota(facts: dict[str, Any]) -> None:
    """Have the answer's header fields tell of the quota that is used up, not of another."""
    g.standing = Standing(limit=facts["maximum"], window=facts["window"], remaining=0, reset=facts["retry_after"])


def _challenge(info: ErrorInfo) -> str:
    """What is asked for (RFC 6750, 3): the reason is only told of a key or token that was sent."""
    asked = 'Bearer realm="weighbridge"'
    if info.extra.get("reason") == "missing":
        return asked
    return f'{asked}, error="invalid_token", error_description="{info.detail}"'


def _facts(about: Analysis | ComparisonJob) -> tuple[str, dict[str, Any]]:
    """What a problem says of the job that it is about, and under which name."""
    if isinstance(about, ComparisonJob):
        return "comparison", {"id": about.id, "state": about.state, "links": documents.comparison_links(about)}
    return "analysis", {"id": documents.public_id(about), "state": about.state, "links": documents.links(about)}


def not_found() -> NotFound:
    """There is no such analysis, or the name can be none: the same answer."""
    return NotFound(
        msg("There is no such analysis."),
        hint=msg("It may have been deleted; GET /v1/analyses lists those there are."),
    )


def _known(error: WeighbridgeError) -> Response:
    if not isinstance(error, RequestError):
        log.info("request_failed", code=error.info.code)
    return answer(error.info)


def _invalid(error: ValidationError) -> Response:
    found = error.messages if isinstance(error.messages, dict) else {BODY: error.messages}
    found = {BODY if name == SCHEMA else name: reasons for name, reasons in found.items()}
    field, reasons = next(iter(found.items()))
    said = reasons if isinstance(reasons, list) else [reasons]
    return answer(
        ErrorInfo(
            code=RequestError.code,
            detail=msg("{field}: {reasons}", field=str(field)[:100], reasons=[_reason(reason) for reason in said[:5]]),
            pointer=str(field)[:100],
            extra={"errors": {str(name)[:100]: reasons for name, reasons in list(found.items())[:20]}},
        )
    )


def _reason(reason: Any) -> Message:
    return reason if isinstance(reason, Message) else verbatim(str(reason)[:500])


def _http(error: HTTPException) -> Response:
    made = error.get_response()
    if error.code is None or error.code < 400:
        return Response(made.get_data(), made.status_code, headers=list(made.headers))
    detail = DETAILS.get(error.code) or msg("The request was refused (HTTP {status}).", status=str(error.code))
    response = answer(ErrorInfo(code=code_of(error.code), detail=detail), status=error.code)
    for name in ("Allow", "Retry-After"):
        if name in made.headers:
            response.headers[name] = made.headers[name]
    return response


def _refused_by_system(error: OSError) -> Response:
    """The system has no descriptor, memory or room left for us, or a disk that fails: it is no bug, and may pass."""
    if error.errno in FULL:
        return _known(StorageFull(msg("There is no room left to store this.")))
    if error.errno not in SHORT:
        return _unknown(error)
    log.error("system_refused", exc_info=error)
    reason = error.strerror or str(error.errno)
    return _known(ServiceError(msg("The system refuses what the request needs: {reason}.", reason=reason)))


def _unknown(error: Exception) -> Response:
    log.error("request_broke", exc_info=error)
    return answer(
        ErrorInfo(
            code=WeighbridgeError.code,
            detail=msg("The service failed to answer this request."),
            hint=msg("Report it with the request_id; the log has what happened."),
        )
    )
