"""Which uploads are kept: when each was last used, who needs it, which may go. Knows the tables; places no file.

A file that several accounts sent is there once. Each has it for as long as it has used it itself: whether it can still
be measured must not tell one that another has sent the same.

All that changes anything runs within a transaction that holds the write lock: an upload of the same content, which is
placed under it, too, cannot get in between.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, exists, func, or_, select, true
from sqlalchemy.dialects.sqlite import insert

from service.jobs import ages
from service.jobs.blobs import Blobs
from service.jobs.records import Part
from service.jobs.tables import analyses, parts, uploads

AT_ONCE = 100
"""Rows that one transaction of a sweep deletes: others want to write, too."""
_COMPARISON = analyses.alias("comparison")

_insert = insert(uploads)
_USE = _insert.on_conflict_do_update(["account", "blake3"], set_={"used_at": _insert.excluded.used_at})
"""Made once: building it takes longer than the database does to answer."""
Held = tuple[str, Part]
"""A file, and the account whose analysis was given it."""


def use(connection: Connection, files: Iterable[Held]) -> None:
    """Note that these files are used now; from here on they are kept for the set time."""
    now = ages.now(connection)
    used = [{"account": account, "blake3": file.blake3, "bytes": file.bytes, "used_at": now} for account, file in files]
    if used:
        connection.execute(_USE, used)


def of_job(connection: Connection, identifiers: Sequence[str | None]) -> list[Held]:
    """The files of some analyses."""
    query = (
        select(parts, analyses.c.account)
        .join(analyses, analyses.c.id == parts.c.analysis_id)
        .where(parts.c.analysis_id.in_([known for known in identifiers if known]))
    )
    return [(row["account"], _part(row)) for row in connection.execute(query).mappings()]


def holds(connection: Connection, account: str, digests: Collection[str]) -> bool:
    """Whether an account still has all these files; without an account they are had as long as they are there."""
    query = select(func.count()).where(uploads.c.account == account, uploads.c.blake3.in_(digests))
    return not account or connection.execute(query).scalar_one() == len(set(digests))


def _part(row: RowMapping) -> Part:
    return Part(name=row["name"], bytes=row["bytes"], blake3=row["blake3"])


def stored_bytes(connection: Connection) -> int:
    """Bytes of all uploads that are kept."""
    files = select(uploads.c.blake3, func.max(uploads.c.bytes).label("bytes")).group_by(uploads.c.blake3).subquery()
    return int(connection.execute(select(func.coalesce(func.sum(files.c.bytes), 0))).scalar_one())


def known(connection: Connection) -> set[str]:
    """Digests of all uploads that are kept."""
    return set(connection.execute(select(uploads.c.blake3)).scalars())


def named(connection: Connection, digest: str) -> Part | None:
    """The file as an analysis that was not cancelled was given it; None if none was."""
    query = (
        select(parts)
        .join(analyses, analyses.c.id == parts.c.analysis_id)
        .where(parts.c.blake3 == digest, analyses.c.state != "cancelled")
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _part(row)


def unneeded(connection: Connection, digests: Iterable[str]) -> list[str]:
    """Those that no analysis was given."""
    return [digest for digest in digests if named(connection, digest) is None]


def adopt(connection: Connection, digest: str) -> bool:
    """Note the use, now, of a file that is there, for all who were given it; False if nobody was."""
    query = (
        select(parts, analyses.c.account)
        .join(analyses, analyses.c.id == parts.c.analysis_id)
        .where(parts.c.blake3 == digest, analyses.c.state != "cancelled")
    )
    holders = {row["account"]: _part(row) for row in connection.execute(query).mappings()}
    use(connection, holders.items())
    return bool(holders)


def idle(connection: Connection) -> list[tuple[str, int]]:
    """Digests and sizes of uploads which no job will read, the longest unused by anybody first."""
    query = select(uploads.c.blake3, func.max(uploads.c.bytes)).where(~_in_use()).group_by(uploads.c.blake3)
    return [(digest, size) for digest, size in connection.execute(query.order_by(func.max(uploads.c.used_at)))]


def expire(connection: Connection, blobs: Blobs, *, used_before: float) -> tuple[int, list[Path]]:
    """Forget uploads for accounts that used them last before that age, up to `AT_ONCE`, unless a job will read them.

    Returns how many, and the files that no account has any longer, as `discard` does.
    """
    mine = analyses.c.account == uploads.c.account
    due = select(uploads.c.account, uploads.c.blake3).where(uploads.c.used_at < used_before, ~_in_use(mine))
    found = connection.execute(due.order_by(uploads.c.used_at).limit(AT_ONCE)).all()
    for account, digest in found:
        connection.execute(uploads.delete().where(uploads.c.account == account, uploads.c.blake3 == digest))
    digests = {digest for _, digest in found}
    held = set(connection.execute(select(uploads.c.blake3).where(uploads.c.blake3.in_(digests))).scalars())
    return len(found), discard(connection, blobs, sorted(digests - held))


def _in_use(whose: ColumnElement[bool] | None = None) -> ColumnElement[bool]:
    """Whether a job that waits or runs was given the upload, or compares the values of an analysis that was."""
    busy = ("queued", "running")
    compared = exists().where(
        _COMPARISON.c.state.in_(busy),
        _COMPARISON.c.work == "compare",
        _COMPARISON.c.lane == "values",
        or_(_COMPARISON.c.left_id == analyses.c.id, _COMPARISON.c.right_id == analyses.c.id),
    )
    return exists().where(
        and_(parts.c.blake3 == uploads.c.blake3, parts.c.analysis_id == analyses.c.id),
        true() if whose is None else whose,
        or_(analyses.c.state.in_(busy), compared),
    )


def evict(connection: Connection, blobs: Blobs, wanted: int, *, least: int) -> list[Path] | None:
    """As `discard`, for `wanted` bytes of what no job is going to read, the longest unused first.

    If there are not so many, they go all the same, unless they are fewer than `least`: None, and nothing happens.
    """
    chosen: list[str] = []
    freed = 0
    for digest, size in idle(connection):
        if freed >= wanted:
            break
        chosen.append(digest)
        freed += size
    return discard(connection, blobs, chosen) if freed >= least else None


def discard(connection: Connection, blobs: Blobs, digests: Sequence[str]) -> list[Path]:
    """Forget uploads. Their files are out of the way, to be deleted (`blobs.deleting`) when nobody waits for that."""
    connection.execute(uploads.delete().where(uploads.c.blake3.in_(digests)))
    return [path for digest in digests if (path := blobs.take_away(digest)) is not None]
