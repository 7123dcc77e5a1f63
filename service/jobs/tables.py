"""The tables: jobs (analyses, comparisons), the files each was given, reports, API keys; knows columns, no queries.

The schema is grown by `STEPS`: one database file per installation needs no migration tool beside it. A step is never
edited once released; a new one is added at the end. Steps only add: tables, indexes, columns that have a default or may
be empty. So an older service that still runs, or is started again, goes on working on a newer schema. `user_version`
says which is the oldest that can (`OLDEST`), the table `grown` how far the schema has come.
"""

from __future__ import annotations

import itertools

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
    select,
)

from service.errors import DatabaseDamaged
from service.language import msg

metadata = MetaData()

reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # the report's JSON, see service.pressed
    Column("size", Integer, nullable=False),  # of the JSON
    Column("etag", String, nullable=False),
    Column("hash", String),  # BLAKE3 of the body, hex; older services leave it empty
)

analyses = Table(
    "analyses",
    metadata,
    Column("id", String, primary_key=True),  # sorts by time of creation
    Column("state", String, nullable=False),
    Column("created_at", Float, nullable=False),  # Unix seconds
    Column("finished_at", Float),
    Column("name", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("key", String, nullable=False),  # equal content, options and version have equal keys
    Column("request_id", String, nullable=False),
    Column("format", String),
    Column("framework", String),
    Column("cached", Boolean, nullable=False, default=False),
    Column("report_id", Integer, ForeignKey("reports.id")),
    Column("error", String),  # JSON of an ErrorInfo
    Column("attempts", Integer, nullable=False, default=0),
    Column("available_at", Float, nullable=False, default=0.0),  # as lease_until: nobody takes it unasked before
    Column("owner", String),
    Column("lease_until", Float),  # seconds of this machine's monotonic clock
    Column("work", String, nullable=False, server_default="read"),
    Column("lane", String, nullable=False, server_default="quick"),
    Column("options", String, nullable=False, server_default="{}"),  # JSON
    Column("progress", Float),  # share that is done, of a running job that can tell
    Column("parent_id", String, ForeignKey("analyses.id", ondelete="CASCADE")),  # made for this one, and not listed
    Column("left_id", String),  # of a comparison, which outlives its sides
    Column("right_id", String),
    Column("account", String, nullable=False, server_default=""),  # whose it is; empty: made where no key is needed
    Column("kept_from", Float),  # age (`ages`) at which it was accepted, then finished; older services leave it empty
    Index("analyses_by_state", "state", "id"),
    Index("analyses_by_key", "key", "state"),
    Index("analyses_by_format", "format", "id"),
    Index("analyses_by_name", "name", "id"),
    Index("analyses_by_report", "report_id"),
    Index("analyses_by_parent", "parent_id"),
    Index("analyses_by_account", "account", "id"),
    Index("analyses_by_kept_from", "kept_from"),
)

parts = Table(
    "parts",
    metadata,
    Column("analysis_id", String, ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("blake3", String, nullable=False),
    Column("sha256", String),  # filled in later for large files
    Index("parts_by_blake3", "blake3"),
    Index("parts_by_sha256", "sha256"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),  # the public half of the key
    Column("hash", String, nullable=False),  # SHA-256 of the whole key, hex
    Column("account", String, nullable=False),
    Column("role", String, nullable=False),
    Column("quotas", String, nullable=False),  # JSON of those that differ from the installation's
    Column("created_at", Float, nullable=False),  # Unix seconds, as the others
    Column("expires_at", Float),
    Column("revoked_at", Float),
)

uploads = Table(
    "uploads",
    metadata,
    Column("account", String, primary_key=True),  # who used it: the file is there once, but nobody sees that
    Column("blake3", String, primary_key=True),
    Column("bytes", Integer, nullable=False),
    Column("used_at", Float, nullable=False),  # age
    Index("uploads_by_blake3", "blake3"),
    Index("uploads_by_used_at", "used_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("content", String, nullable=False),  # hash of what was asked with it
    Column("job_id", String, ForeignKey("analyses.id", ondelete="CASCADE"), nullable=False),
    Column("kept_from", Float, nullable=False),  # age
    Index("idempotency_keys_by_job", "job_id"),
    Index("idempotency_keys_by_kept_from", "kept_from"),
)

ages = Table(
    "ages",
    metadata,
    Column("boot", String, nullable=False),  # of the machine
    Column("from_boot", Float, nullable=False),  # to be added to the seconds since that boot
    Column("age", Float, nullable=False),  # when it was last written down
    Column("wall", Float, nullable=False),  # Unix seconds then
)

grown = Table("grown", metadata, Column("version", Integer, nullable=False))

STEPS = (
    (
        "ALTER TABLE analyses ADD COLUMN work VARCHAR DEFAULT 'read' NOT NULL",
        "ALTER TABLE analyses ADD COLUMN lane VARCHAR DEFAULT 'quick' NOT NULL",
        "ALTER TABLE analyses ADD COLUMN options VARCHAR DEFAULT '{}' NOT NULL",
        "ALTER TABLE analyses ADD COLUMN progress FLOAT",
        "ALTER TABLE analyses ADD COLUMN parent_id VARCHAR REFERENCES analyses (id) ON DELETE CASCADE",
        "ALTER TABLE analyses ADD COLUMN left_id VARCHAR",
        "ALTER TABLE analyses ADD COLUMN right_id VARCHAR",
        "CREATE INDEX analyses_by_parent ON analyses (parent_id)",
    ),
    (
        "ALTER TABLE analyses ADD COLUMN account VARCHAR DEFAULT '' NOT NULL",
        "CREATE INDEX analyses_by_account ON analyses (account, id)",
        """
        CREATE TABLE api_keys (
            id VARCHAR NOT NULL, hash VARCHAR NOT NULL, account VARCHAR NOT NULL, role VARCHAR NOT NULL,
            quotas VARCHAR NOT NULL, created_at FLOAT NOT NULL, expires_at FLOAT, revoked_at FLOAT, PRIMARY KEY (id)
        )
        """,
    ),
    (
        "ALTER TABLE analyses ADD COLUMN kept_from FLOAT",
        "CREATE INDEX analyses_by_kept_from ON analyses (kept_from)",
        "ALTER TABLE reports ADD COLUMN hash VARCHAR",
        """
        CREATE TABLE uploads (
            account VARCHAR NOT NULL, blake3 VARCHAR NOT NULL, bytes INTEGER NOT NULL, used_at FLOAT NOT NULL,
            PRIMARY KEY (account, blake3)
        )
        """,
        "CREATE INDEX uploads_by_blake3 ON uploads (blake3)",
        "CREATE INDEX uploads_by_used_at ON uploads (used_at)",
        """
        CREATE TABLE idempotency_keys (
            account VARCHAR NOT NULL, name VARCHAR NOT NULL, content VARCHAR NOT NULL, job_id VARCHAR NOT NULL,
            kept_from FLOAT NOT NULL, PRIMARY KEY (account, name),
            FOREIGN KEY (job_id) REFERENCES analyses (id) ON DELETE CASCADE
        )
        """,
        "CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job_id)",
        "CREATE INDEX idempotency_keys_by_kept_from ON idempotency_keys (kept_from)",
        "CREATE TABLE ages (boot VARCHAR NOT NULL, from_boot FLOAT NOT NULL, age FLOAT NOT NULL, wall FLOAT NOT NULL)",
        "CREATE TABLE grown (version INTEGER NOT NULL)",
        "INSERT INTO grown VALUES (1)",
    ),
)
"""Step n brings schema n to n + 1; what they lead to is what `metadata` makes at once for a new database."""
SCHEMA = len(STEPS) + 1
OLDEST = 2
"""The oldest schema whose service can work on this one's tables."""


class TooNewError(RuntimeError):
    """A newer service has written the database, in a way that this one cannot work with."""


def is_current(connection: Connection) -> bool:
    """Whether the database can be worked with as it is."""
    oldest: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    return 0 < oldest <= SCHEMA <= _schema(connection)


def migrate(connection: Connection) -> None:
    """Bring the database to this schema, unless it is newer already; TooNewError if we cannot work with that."""
    oldest = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if oldest > SCHEMA:
        raise TooNewError(
            f"The database needs a service that knows schema {oldest}; this version knows up to {SCHEMA}. "
            "Start the newer version, or restore a backup from before the upgrade."
        )
    current = _schema(connection) if oldest else 0
    if current >= SCHEMA:
        return
    if current == 0:
        metadata.create_all(connection)
        connection.execute(grown.insert().values(version=SCHEMA))
    for statement in itertools.chain(*STEPS[current - 1 :] if current else ()):
        connection.exec_driver_sql(statement)
    connection.execute(grown.update().values(version=SCHEMA))
    connection.exec_driver_sql(f"PRAGMA user_version = {OLDEST}")


def _schema(connection: Connection) -> int:
    """How far the schema has come: before `grown`, `user_version` said so."""
    if "grown" not in inspect(connection).get_table_names():
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    version = connection.execute(select(grown.c.version)).scalar()
    if not isinstance(version, int):
        raise DatabaseDamaged(msg("The service's database is damaged."))
    return version
