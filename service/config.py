"""Settings and limits; the only module that reads the environment. Knows names, units and defaults, no policy."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

MIB = 1 << 20
GIB = 1 << 30


_LAYERS_IN_ANY, _BYTES_OF_A_LAYER, _AND_BEYOND_A_MIB = 10_000, 64, 16
_JSON_IN_ANY, _JSON_IN_A_BYTE = 8 * MIB, 16
"""How much an upload may describe whatever its size, and how much more for each of its bytes."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one analysis may use and how large a structure it may meet. Crosses the wall with each task.

    Every field is settable as `WEIGHBRIDGE_LIMIT_<NAME>`.
    """

    seconds: float = 30.0
    """Wall-clock deadline of reading one upload, then the child is killed."""
    memory_bytes: int = 768 * MIB
    """Address space a reading child may add to what its warm process already has."""
    build_seconds: float = 60.0
    """Wall-clock deadline of building one spec with a framework."""
    build_memory_bytes: int = 1400 * MIB
    """Address space a building child may add to what its warm process already has."""
    values_seconds: float = 600.0
    """Wall-clock deadline of reading the values of one upload, or of the two of a comparison."""
    values_memory_bytes: int = 768 * MIB
    """Address space a child that reads values may add to what its warm process already has."""
    values_bytes: int = 64 * GIB
    """Most bytes read, and most bytes inflated, where values were asked for; in the place of the two limits below."""
    answer_bytes: int = 256 * MIB
    """Largest answer taken over the wall."""
    read_bytes: int = 512 * MIB
    """Most bytes a reader may read from the upload: readers want headers, not values."""
    inflated_bytes: int = 4 * GIB
    """Most bytes a reader may inflate from compressed members."""
    expansion: int = 200
    """Largest allowed ratio of inflated to compressed bytes of one member, above 1 MiB."""
    archive_entries: int = 50_000
    archive_depth: int = 2
    json_bytes: int = 64 * MIB
    json_depth: int = 200
    spec_bytes: int = 5 * MIB
    spec_depth: int = 64
    spec_layers: int = 10_000
    pickle_opcodes: int = 5_000_000
    pickle_argument_bytes: int = 16 * MIB
    hdf5_objects: int = 200_000
    hdf5_depth: int = 64
    hdf5_attribute_bytes: int = 64 * MIB
    layers: int = 200_000
    weights: int = 500_000
    dimension: int = 2**63 - 1
    """Largest size along one axis."""
    elements: int = 2**127
    """Largest number of elements in one total."""
    text: int = 4096
    """Longest name or message taken from a file, in characters; longer ones are shortened."""

    def for_upload(self, size: int) -> Limits:
        """These limits for an upload of `size` bytes: a small one cannot describe as much as a large one may.

        So that what is small is answered or refused fast, however densely it is packed: up to a MiB there are 64 bytes
        for each layer or weight beyond the first, more than any model of this size needs, and 16 from there.
        """
        beyond = max(0, size - MIB)
        room = _LAYERS_IN_ANY + (size - beyond) // _BYTES_OF_A_LAYER + beyond // _AND_BEYOND_A_MIB
        return msgspec.structs.replace(
            self,
            layers=min(self.layers, room),
            weights=min(self.weights, room),
            json_bytes=min(self.json_bytes, _JSON_IN_ANY + _JSON_IN_A_BYTE * size),
        )


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who is let in, to what, and how often. Every field is settable as `WEIGHBRIDGE_<NAME>`."""

    auth: Literal["auto", "required", "off"] = "auto"
    """Whether a key or token is needed. auto: unless only this machine can reach the service (`bound`)."""
    bound: str = ""
    """The addresses that are served, with commas; found by gunicorn's hooks, not set by hand. Empty: not known."""
    hosts: str = ""
    """Names, with commas, under which the service may be asked while `auto` leaves it open: see `access.origins`."""
    cors_origins: str = ""
    """Origins, with commas, whose pages may read answers: `https://app.example`; or `*`, only where keys are needed."""
    proxies: str = "127.0.0.1,::1"
    """Addresses of proxies whose X-Forwarded-For is believed, in the audit log; gunicorn's FORWARDED_ALLOW_IPS."""
    admin_bind: str = ""
    """`host:port` on which alone /metrics and /readyz are served, to anybody who reaches it."""
    audit_log: str = ""
    """File of the audit log; empty: with the other log lines, where a key is needed."""
    token_issuer: str = ""
    """`iss` of the tokens (JWT) that are taken beside API keys; empty: none are."""
    token_audience: str = ""
    """`aud` that a token must be for."""
    token_jwks: str = ""
    """The issuer's public keys: a file, or an https address; empty: the issuer is asked where (OpenID Connect)."""
    token_algorithms: str = "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA"  # noqa: S105 - names
    """Signatures that are taken, of those that a public key verifies."""
    token_leeway_seconds: float = 30.0
    """By how much the issuer's clock may differ."""
    token_account_claim: str = "sub"  # noqa: S105 - a name
    """Claim that says whose analyses a token's holder sees."""
    token_roles_claim: str = "roles"  # noqa: S105 - a name
    """Claim with the role: a text or a list; `realm_access.roles` looks into an object."""
    token_role_prefix: str = ""
    """What stands before reader, submitter and admin in that claim."""
    quota_requests_per_minute: int | None = None
    """Of one key; None: 600 where a key is needed, else no limit. 0: no limit."""
    quota_submissions_per_minute: int | None = None
    """Uploads and comparisons of one key; None: 120 where a key is needed, else no limit. 0: no limit."""
    quota_bytes_per_hour: int | None = None
    """Bytes uploaded with one key; None: 64 GiB where a key is needed, else no limit. 0: no limit."""
    quota_bytes_per_day: int | None = None
    """As above; None: 256 GiB."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one installation runs. Every field is settable as `WEIGHBRIDGE_<NAME>`."""

    data_dir: Path = Path("var")
    """Uploads, database and sockets live below it."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite in `data_dir`."""
    max_upload_bytes: int = 16 * GIB
    max_upload_parts: int = 200
    max_connections: int = 8192
    """Open connections per web worker; beyond it whoever has been waiting longest without a request is turned out."""
    max_concurrent_uploads: int = 64
    """Per web worker; beyond it an upload is answered 503 and Retry-After."""
    max_waiting: int = 64
    """Requests per web worker that may wait for an analysis at once; beyond it they are answered without waiting."""
    max_concurrent_answers: int = 8
    """Answers of reports above 1 MiB that a web worker makes and sends at once; beyond it 503 and Retry-After."""
    share_per_caller: float = 0.75
    """Part of these three that one caller can hold: an account, or an address where no key is needed. 1: all."""
    spare_threads: int = 8
    """Threads per web worker that none of these may take: health checks and short answers."""
    min_upload_rate: int = 1024
    """Bytes per second below which a client counts as stalled, measured over `stall_seconds`."""
    min_download_rate: int = 8192
    """Bytes per second below which a client that reads an answer is cut off, measured in the same way."""
    stall_seconds: float = 20.0
    min_free_disk_bytes: int = 512 * MIB
    """Room that uploads leave on the disk: reports and the database need it."""
    max_stored_bytes: int = 64 * GIB
    """Most bytes of uploads, reports and database together; 0: only the disk is the limit. For a new upload the ones
    longest unused go first, as far as no job needs them; what then finds no room is answered 507."""
    keep_uploads_seconds: float = 3600.0
    """How long an upload is kept after it was last used, for statistics and comparisons of values; 0: for ever."""
    keep_reports_seconds: float = 30 * 86400.0
    """How long an analysis and its report, or a comparison, is kept after it was finished; 0: for ever."""
    idempotency_seconds: float = 86400.0
    """How long an Idempotency-Key is remembered."""
    max_wait_seconds: float = 60.0
    default_wait_seconds: float = 10.0
    job_threads: int = 2
    """Analyses at once, per web worker."""
    values_threads: int = 1
    """Readings of values at once, per web worker: beside the others, which must not wait for gigabytes."""
    max_queued_jobs: int = 1000
    """Jobs that may wait; beyond it an upload is answered 503 and Retry-After."""
    max_queued_jobs_per_account: int = 500
    """Of one account, where keys are needed; beyond it 429 and Retry-After."""
    job_attempts: int = 10
    """How often a job is begun during which the service or its warm process dies, before it is held to be the cause."""
    static_python: str = ""
    """Interpreter of the warm process that reads uploads; empty means this one."""
    keras_python: str = ""
    """Interpreter with TensorFlow; empty means look beside this one, see `service.sandbox.kinds`."""
    torch_python: str = ""
    warm_frameworks: bool = True
    """Start framework workers with the service; off: on first need."""
    warm_values: bool = False
    """Start the worker that reads values with the service; off: on first need."""
    warm_transformers: bool = False
    """Start the worker that builds Hugging Face configurations with the service; off: on first need."""
    spare_children: int = 2
    """Pre-forked, already confined children kept waiting per warm process."""
    allow_unconfined: bool = False
    log_level: str = "INFO"
    faults: str = ""
    """For tests only: a folder that says what is to go wrong, see `service.faults`. Taken only on loopback."""
    limits: Limits = Limits()
    access: Access = Access()


_MAY_BE_NOTHING = frozenset(
    (
        "min_free_disk_bytes", "max_stored_bytes", "keep_uploads_seconds", "keep_reports_seconds",
        "idempotency_seconds", "max_wait_seconds", "default_wait_seconds", "max_waiting", "spare_threads",
        "spare_children", "min_upload_rate", "min_download_rate", "max_queued_jobs", "max_queued_jobs_per_account",
        "token_leeway_seconds", "quota_requests_per_minute", "quota_submissions_per_minute", "quota_bytes_per_hour",
        "quota_bytes_per_day",
    )
)  # fmt: skip
"""Settings for which 0 has a meaning."""


def _read(kind: type[msgspec.Struct], prefix: str, environ: Mapping[str, str]) -> dict[str, object]:
    """The fields of `kind` that `environ` sets, converted to their types; ValueError names a bad one."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        name = prefix + field.name.upper()
        if name in environ and field.type not in (Limits, Access):
            try:
                found[field.name] = _sound(field.name, _convert(environ[name], field.type))
            except (ValueError, msgspec.ValidationError) as error:
                raise ValueError(f"{name}={environ[name]!r}: {error}") from None
    return found


def _convert(text: str, kind: type) -> object:
    if kind is Path:
        return Path(text)
    return msgspec.convert(text, kind, strict=False)


def _sound(name: str, value: object) -> object:
    """`value`, if it is no number or one that can be meant; ValueError if not."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        least = "0 or more" if name in _MAY_BE_NOTHING else "above 0"
        if not math.isfinite(value) or value < 0 or (value == 0 and name not in _MAY_BE_NOTHING):
            raise ValueError(f"it must be a number {least}.")
    return value


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; ValueError names the variable that does not parse."""
    environ = os.environ if environ is None else environ
    limits = Limits(**_read(Limits, "WEIGHBRIDGE_LIMIT_", environ))  # type: ignore[arg-type]
    access = Access(**_read(Access, "WEIGHBRIDGE_", environ))  # type: ignore[arg-type]
    return Settings(limits=limits, access=access, **_read(Settings, "WEIGHBRIDGE_", environ))  # type: ignore[arg-type]
