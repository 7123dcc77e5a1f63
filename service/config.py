"""Settings and limits; the only module that reads the environment. Knows names, units and defaults, no policy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

MIB = 1 << 20
GIB = 1 << 30


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


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How one installation runs. Every field is settable as `WEIGHBRIDGE_<NAME>`."""

    data_dir: Path = Path("var")
    """Uploads, database and sockets live below it."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite in `data_dir`."""
    max_upload_bytes: int = 16 * GIB
    max_upload_parts: int = 200
    max_concurrent_uploads: int = 24
    """Per web worker; beyond it an upload is answered 503 and Retry-After."""
    max_waiting: int = 32
    """Requests per web worker that may wait for an analysis at once; beyond it they are answered without waiting."""
    spare_threads: int = 8
    """Threads per web worker that neither uploads nor waiting may take: health checks and short answers."""
    min_upload_rate: int = 1024
    """Bytes per second below which a client counts as stalled, measured over `stall_seconds`."""
    stall_seconds: float = 20.0
    min_free_disk_bytes: int = 512 * MIB
    max_wait_seconds: float = 60.0
    default_wait_seconds: float = 10.0
    job_threads: int = 2
    """Analyses at once, per web worker."""
    values_threads: int = 1
    """Readings of values at once, per web worker: beside the others, which must not wait for gigabytes."""
    max_queued_jobs: int = 1000
    job_attempts: int = 3
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
    limits: Limits = Limits()


def _read(kind: type[msgspec.Struct], prefix: str, environ: Mapping[str, str]) -> dict[str, object]:
    """The fields of `kind` that `environ` sets, converted to their types; ValueError names a bad one."""
    found: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        name = prefix + field.name.upper()
        if name in environ and field.type is not Limits:
            try:
                found[field.name] = _convert(environ[name], field.type)
            except (ValueError, msgspec.ValidationError) as error:
                raise ValueError(f"{name}={environ[name]!r}: {error}") from None
    return found


def _convert(text: str, kind: type) -> object:
    if kind is Path:
        return Path(text)
    return msgspec.convert(text, kind, strict=False)


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; ValueError names the variable that does not parse."""
    environ = os.environ if environ is None else environ
    limits = Limits(**_read(Limits, "WEIGHBRIDGE_LIMIT_", environ))  # type: ignore[arg-type]
    return Settings(limits=limits, **_read(Settings, "WEIGHBRIDGE_", environ))  # type: ignore[arg-type]
