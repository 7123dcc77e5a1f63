"""Every error the service can answer with, as one tree; knows codes and sentences, never HTTP statuses.

WeighbridgeError
├── InputError             something in what was uploaded; the same bytes will fail again
│   ├── UnknownFormat      no reader recognises the content
│   ├── MalformedFile      the format's own rules are broken, at a place we can name
│   │   ├── TruncatedFile
│   │   └── InconsistentArchive   two readers of this container would see different contents
│   ├── EncryptedFile
│   ├── UnsupportedFeature valid, but a variant we do not read
│   ├── LimitExceeded      larger, deeper or more than a named limit
│   └── InvalidSpec        an architecture spec that cannot be built; `pointer` names the field
├── RequestError           how it was sent, or by whom: cut short, stalled, too large, wrong fields, no key, too often
│   └── SideError          one of the two models of a comparison cannot be had
├── WorkerError            the confined process did not answer: time, memory, crash
└── ServiceError           our side: not ready, overloaded, disk full, an extra is not installed

An error crosses the wall as its `code` and fields (`to_info`, `from_info`), never as an object.
"""

from __future__ import annotations

from typing import Any

from service.errorinfo import ErrorInfo, WeighbridgeError
from service.language import Message, mark


class InputError(WeighbridgeError):
    """The uploaded content is at fault."""

    code = "invalid_input"


class UnknownFormat(InputError):
    """No reader recognises the content; `extra["looks_like"]` says what it resembles."""

    code = "unknown_format"
    hint = mark("GET /v1/formats lists what is read. Send the model file itself, not a pointer or a page about it.")


class MalformedFile(InputError):
    """The content breaks its format's rules at `member`/`offset`."""

    code = "malformed_file"
    hint = mark("Export or download the file again and compare its checksum with the publisher's.")


class TruncatedFile(MalformedFile):
    """The content ends before its own header says it should."""

    code = "truncated_file"
    hint = mark("The file is shorter than its header says: the download or copy was probably cut. Fetch it again.")


class InconsistentArchive(MalformedFile):
    """An archive that two readers would understand differently (overlaps, doubled names, lying sizes)."""

    code = "inconsistent_archive"
    hint = mark("Repack the archive with a standard tool; different programs would read different contents from it.")


class EncryptedFile(InputError):
    """The content is encrypted."""

    code = "encrypted_file"
    hint = mark("Decrypt the file and upload it again; no password is ever asked for.")


class UnsupportedFeature(InputError):
    """A valid file that uses a variant no reader here understands."""

    code = "unsupported_feature"


class LimitExceeded(InputError):
    """A named limit was met; `extra` holds `limit`, `maximum` and, where known, `value`."""

    code = "limit_exceeded"

    def __init__(
        self, limit: str, maximum: int, detail: Message | str, *, value: int | None = None, **where: Any
    ) -> None:
        known: dict[str, Any] = {} if value is None else {"value": value}
        super().__init__(detail, limit=limit, maximum=maximum, **known, **where)


class InvalidSpec(InputError):
    """An architecture spec that cannot be built; `pointer` names the layer and argument."""

    code = "invalid_spec"


class MalformedJson(InputError):
    """The body is not the JSON it claims to be; `offset` says where."""

    code = "malformed_json"


class RequestError(WeighbridgeError):
    """The request, rather than the file in it, is at fault."""

    code = "bad_request"


class NothingUploaded(RequestError):
    """No file and no spec in the request."""

    code = "nothing_uploaded"
    hint = mark("Send -F file=@model.keras, a raw body with ?filename=, or a JSON spec as application/json.")


class UploadCut(RequestError):
    """The body ended before its announced length."""

    code = "upload_cut"
    hint = mark("Nothing was kept. Send the upload again.")


class UploadStalled(RequestError):
    """The client sent slower than the minimum rate, or nothing for too long."""

    code = "upload_stalled"
    hint = mark("Nothing was kept. Send the upload again over a faster connection.")


class UploadTooLarge(RequestError):
    """The body is larger than the service takes."""

    code = "upload_too_large"


class NotFound(RequestError):
    """No such resource."""

    code = "not_found"


class MethodNotAllowed(RequestError):
    """The resource exists, the method does not."""

    code = "method_not_allowed"


class NotAcceptable(RequestError):
    """None of the representations the client would take can be made."""

    code = "not_acceptable"


class NotFinished(RequestError):
    """The analysis has no report (yet)."""

    code = "not_finished"
    hint = mark("Ask again with ?wait=60 on the analysis, or look at its state.")


class Cancelled(RequestError):
    """The analysis was deleted while it was waited for."""

    code = "cancelled"


class OutdatedReport(RequestError):
    """The stored report or comparison was written by another version of the service."""

    code = "outdated_report"
    hint = mark("Send the upload again: this version makes a new report of it.")


class UploadGone(RequestError):
    """The upload of a finished analysis is no longer there, so that no more can be read from it."""

    code = "upload_gone"
    hint = mark("Send the upload again, with ?stats=true if its statistics are wanted.")


class SideError(RequestError):
    """One of the two models of a comparison cannot be had; `extra["side"]` says which."""

    code = "side_unavailable"


class LeftFailed(SideError):
    """The analysis of the left model failed; `extra["cause"]` is the code of its error."""

    code = "left_failed"
    hint = mark("Look at the error of the left analysis, and send a file that can be read.")


class RightFailed(SideError):
    """The analysis of the right model failed; `extra["cause"]` is the code of its error."""

    code = "right_failed"
    hint = mark("Look at the error of the right analysis, and send a file that can be read.")


class LeftGone(SideError):
    """The analysis or the upload of the left model was deleted before the comparison was made."""

    code = "left_gone"
    hint = mark("Send the left model again and compare with the new analysis.")


class RightGone(SideError):
    """The analysis or the upload of the right model was deleted before the comparison was made."""

    code = "right_gone"
    hint = mark("Send the right model again and compare with the new analysis.")


class IdempotencyKeyReused(RequestError):
    """The Idempotency-Key was sent before, with another content."""

    code = "idempotency_key_reused"
    hint = mark("Make a new key for each new request; send the same key only to repeat one.")


class UnsupportedMediaType(RequestError):
    """The body is of a type, or in an encoding, that is not taken."""

    code = "unsupported_media_type"


class Unauthenticated(RequestError):
    """No key or token, or one that is not valid; `extra["reason"]` says in one word what is wrong with it."""

    code = "unauthenticated"
    hint = mark("Send a key as Authorization: Bearer KEY or as X-API-Key: KEY, once, in a header and never in the URL.")


class Forbidden(RequestError):
    """The key or token is valid, but its role does not allow this; or a web page of another site asks for it."""

    code = "forbidden"


class QuotaExceeded(RequestError):
    """A quota is used up; `extra` holds `limit`, `maximum`, `retry_after` (seconds) and, if it has one, `window`."""

    code = "quota_exceeded"
    hint = mark("Try again after the time in Retry-After.")


class Misdirected(RequestError):
    """The service was asked under a name that is not its own."""

    code = "misdirected_request"


class WorkerError(WeighbridgeError):
    """The confined process did not come back with an answer."""

    code = "worker_failed"


class WorkerTimeout(WorkerError):
    """The analysis ran past its deadline and was killed."""

    code = "worker_timeout"
    hint = mark("The file takes unusually long to read. If it is genuine, ask the operator to raise the limit.")


class WorkerCrashed(WorkerError):
    """The confined process died; `extra["signal"]` or `extra["status"]` says how."""

    code = "worker_crashed"
    hint = mark("The file made a parser crash; nothing else was affected. It is probably damaged.")


class WorkerOutOfMemory(WorkerError):
    """The confined process needed more memory than an analysis may have."""

    code = "worker_out_of_memory"
    hint = mark(
        "The file needs more memory than one analysis may use. If it is genuine, ask the operator to raise the limit."
    )


class WorkerCancelled(WorkerError):
    """The analysis was called off and its process killed."""

    code = "worker_cancelled"


class ServiceError(WeighbridgeError):
    """Our side; the same request may succeed later or on another installation."""

    code = "service_error"


class FrameworkMissing(ServiceError):
    """The installation has no worker for the framework that only can answer."""

    code = "framework_missing"


class WorkerUnavailable(ServiceError):
    """The warm process of a kind is not running (yet)."""

    code = "worker_unavailable"
    hint = mark("Try again in a few seconds; /readyz tells when the workers are warm.")


class Overloaded(ServiceError):
    """More uploads or jobs at once than the service takes."""

    code = "overloaded"
    hint = mark("Try again after the time in Retry-After.")


class TokensUnavailable(ServiceError):
    """The issuer's public keys cannot be had, so that no token can be checked."""

    code = "tokens_unavailable"
    hint = mark("Try again in a minute, or use an API key. What is wrong stands at /readyz, for an administrator.")


class StorageFull(ServiceError):
    """No room for the upload on the service's disk."""

    code = "storage_full"


class DatabaseDamaged(ServiceError):
    """The database's file is damaged."""

    code = "database_damaged"
    hint = mark("The operator has to restore a backup of the database; /readyz says more.")


class ReportDamaged(ServiceError):
    """A stored report or comparison is not what was stored: the disk has changed it."""

    code = "report_damaged"
    hint = mark("Send the upload again: a new report of it is made.")


class InputLost(ServiceError):
    """The stored upload of an accepted analysis is gone or damaged."""

    code = "input_lost"
    hint = mark("Send the upload again.")


def _tree(root: type[WeighbridgeError]) -> list[type[WeighbridgeError]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


BY_CODE: dict[str, type[WeighbridgeError]] = {kind.code: kind for kind in _tree(WeighbridgeError)}


def from_info(info: ErrorInfo) -> WeighbridgeError:
    """Raise-able error from its data; an unknown code becomes the base error."""
    kind = BY_CODE.get(info.code, WeighbridgeError)
    error = kind.__new__(kind)
    Exception.__init__(error, str(info.detail))
    error.info = info
    return error
