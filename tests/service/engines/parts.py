"""What an engine works with, put together without the web room."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from service.config import Settings
from service.engines.local import LocalEngine
from service.jobs import acceptance
from service.jobs.acceptance import Terms
from service.jobs.analysis import VERSION
from service.jobs.blobs import Blobs, Incoming
from service.jobs.database import open_database
from service.jobs.identifiers import new_id
from service.jobs.records import STRUCTURE, Analysis, Part, result_key
from tests.fakes import FakeSandbox


@contextmanager
def running(folder: Path, sandbox: FakeSandbox, **settings) -> Iterator[SimpleNamespace]:
    """`settings`, `database`, `blobs` and a started `engine` below `folder`."""
    made = Settings(data_dir=folder, min_free_disk_bytes=0, **settings)
    blobs = Blobs(folder)
    blobs.prepare()
    database = open_database(made)
    engine = LocalEngine(made, database, blobs, sandbox, lambda *_: None)
    engine.start()
    yield SimpleNamespace(settings=made, database=database, blobs=blobs, engine=engine)
    sandbox.release.set()
    engine.stop(5.0)
    database.close()


def accepted_file(parts: SimpleNamespace, path: Path, options=STRUCTURE) -> Analysis:
    """An analysis of a file."""
    return _accepted(parts, path.read_bytes(), owner=True, options=options)


def accepted(parts: SimpleNamespace, text: str, *, owner: bool = True, options=STRUCTURE) -> Analysis:
    """An analysis of that text, for the engine to run at once if it can."""
    return _accepted(parts, text.encode(), owner=owner, options=options)


def _accepted(parts: SimpleNamespace, content: bytes, *, owner: bool, options) -> Analysis:
    with Incoming(parts.blobs) as file:
        file.write(content)
        file.finish()
        files = (Part(name="a", bytes=file.size, blake3=file.digest, sha256=file.sha256()),)
        new = Analysis(
            id=new_id(), state="queued", created_at=time.time(), name="a", bytes=file.size,
            key=result_key(files, VERSION, options), parts=files, options=options,
        )  # fmt: skip
        name = parts.engine.ready_owner(new.lane) if owner else None
        return acceptance.add(parts.database, new, [file], Terms(max_queued=1000, owner=name))
