"""The tables: jobs (analyses and comparisons), the files each was given, and reports; knows columns, no queries.

The schema is versioned by SQLite's own `user_version` and grown by `STEPS`: one database file per installation needs
no migration tool beside it. A step is never edited once released; a new one is added at the end.
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
)

metadata = MetaData()

reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("body", LargeBinary, nullable=False),  # the report's JSON, see service.pressed
    Column("size", Integer, nullable=False),  # of the JSON
    Column("etag", String, nullable=False),
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
    Column("available_at", Float, nullable=False, default=0.0),  # Unix seconds; a retry waits until then
    Column("owner", String),
    Column("lease_until", Float),  # seconds of this machine's monotonic clock
    Column("work", String, nullable=False, server_default="read"),
    Column("lane", String, nullable=False, server_default="quick"),
    Column("options", String, nullable=False, server_default="{}"),  # JSON
    Column("progress", Float),  # share that is done, of a running job that can tell
    Column("parent_id", String, ForeignKey("analyses.id", ondelete="CASCADE")),  # made for this one, and not listed
    Column("left_id", String),  # of a comparison, which outlives its sides
    Column("right_id", String),
    Index("analyses_by_state", "state", "id"),
    Index("analyses_by_key", "key", "state"),
    Index("analyses_by_format", "format", "id"),
    Index("analyses_by_name", "name", "id"),
    Index("analyses_by_report", "report_id"),
    Index("analyses_by_parent", "parent_id"),
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
)
"""Step n brings schema n to n + 1; what they lead to is what `metadata` makes at once for a new database."""
SCHEMA = len(STEPS) + 1


def migrate(connection: Connection) -> None:
    """Bring the database to the newest schema; RuntimeError if a newer service has written it."""
    current = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if current > SCHEMA:
        raise RuntimeError(f"The database has schema {current}; this version of the service knows up to {SCHEMA}.")
    if current == 0:
        metadata.create_all(connection)
    for statement in itertools.chain(*STEPS[current - 1 :] if current else ()):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")
