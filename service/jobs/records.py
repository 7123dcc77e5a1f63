"""What an analysis and a comparison are, as rows become frozen records; knows no SQL."""

from __future__ import annotations

from typing import Literal

import msgspec
from blake3 import blake3

from service.errors import ErrorInfo

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Work = Literal["read", "measure", "compare"]
Lane = Literal["quick", "values"]
"""Which threads run a job: reading gigabytes of values must not keep short answers waiting."""
STATES: tuple[State, ...] = ("queued", "running", "succeeded", "failed", "cancelled")
FINAL: frozenset[State] = frozenset(("succeeded", "failed", "cancelled"))


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One uploaded file. `name` is relative and checked, and is never used as a path; hashes are hex."""

    name: str
    bytes: int
    blake3: str
    sha256: str | None = None


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of an analysis beyond the structure. `stats`: statistics of every weight's values."""

    stats: bool = False


STRUCTURE = Options()
"""Nothing beyond the structure."""


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What both kinds of job have. `report_id` is set exactly when `state` is succeeded, `error` exactly when failed.

    Times are Unix seconds. `account`: whose it is; empty where it was made without a key. `cached`: answered from the
    stored result of the same content. `progress`: share of the values that is read, 0 to 1, while a job that reads
    values runs; else None. `repeated`, not stored: made by an earlier request with the same Idempotency-Key.
    """

    id: str
    state: State
    created_at: float
    key: str = ""
    request_id: str = ""
    account: str = ""
    finished_at: float | None = None
    cached: bool = False
    report_id: int | None = None
    error: ErrorInfo | None = None
    attempts: int = 0
    progress: float | None = None
    repeated: bool = False

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL


class Analysis(_Row, frozen=True, kw_only=True):
    """One analysis as a row.

    `parent_id`: the analysis for which this one was made (`catalogue.derive`); it is not listed, and goes with its
    parent.
    """

    name: str
    bytes: int
    key: str
    format: str | None = None
    framework: str | None = None
    parts: tuple[Part, ...] = ()
    options: Options = STRUCTURE
    parent_id: str | None = None

    @property
    def work(self) -> Work:
        """What its job does."""
        return "measure" if self.options.stats else "read"

    @property
    def lane(self) -> Lane:
        """Which threads run it."""
        return "values" if self.options.stats else "quick"


class ComparisonJob(_Row, frozen=True, kw_only=True):
    """One comparison of two analyses as a row.

    It waits (`queued`) until both sides are finished. `values`: the numbers are compared too. `key` is filled in when
    it is added.
    """

    left_id: str
    right_id: str
    values: bool = False

    @property
    def work(self) -> Work:
        """What its job does."""
        return "compare"

    @property
    def lane(self) -> Lane:
        """Which threads run it."""
        return "values" if self.values else "quick"


Job = Analysis | ComparisonJob


class StoredReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report as stored: its JSON pressed (`service.pressed`), the JSON's length, and an entity tag of its content."""

    body: bytes
    size: int
    etag: str


def result_key(parts: tuple[Part, ...], version: str, options: Options = STRUCTURE, account: str = "") -> str:
    """Equal for analyses of one account that must give equal reports.

    Names count only where several files refer to one another. Accounts never share a key: neither a stored answer nor
    its speed tells one that another has sent the same file.
    """
    names = [part.name for part in parts] if len(parts) > 1 else []
    facts = [version, msgspec.structs.asdict(options), names, [part.blake3 for part in parts], *_whose(account)]
    return blake3(msgspec.json.encode(facts)).hexdigest()


def comparison_key(left: Analysis, right: Analysis, version: str, *, values: bool, account: str = "") -> str:
    """Equal for comparisons of one account that must give equal answers."""
    facts = ["compare", version, left.key, right.key, values, *_whose(account)]
    return blake3(msgspec.json.encode(facts)).hexdigest()


def _whose(account: str) -> list[str]:
    """What an account adds to a key; nothing without one, as in keys that older versions stored."""
    return [account] if account else []
