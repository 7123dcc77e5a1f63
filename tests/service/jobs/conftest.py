"""A database and a blob folder of their own, and short ways to put an analysis in."""

from __future__ import annotations

import time

import pytest

from service import faults
from service.config import Settings
from service.jobs import acceptance
from service.jobs.acceptance import Terms
from service.jobs.analysis import VERSION
from service.jobs.blobs import Blobs, Incoming
from service.jobs.database import open_database
from service.jobs.identifiers import new_id
from service.jobs.records import STRUCTURE, Analysis, Part, result_key


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path)


@pytest.fixture
def blobs(settings):
    made = Blobs(settings.data_dir)
    made.prepare()
    return made


@pytest.fixture
def database(settings, blobs):
    made = open_database(settings)
    yield made
    made.close()


@pytest.fixture
def add(database, blobs):
    """`add(b"content", name="a.pt", owner="me")` accepts an analysis of one file and returns it; `more`: `Terms`."""

    def do(
        content=b"content", *, name="a.pt", owner=None, max_queued=100, version=VERSION, sha256=True,
        options=STRUCTURE, account="", **more,
    ):  # fmt: skip
        with Incoming(blobs) as file:
            file.write(content)
            file.finish()
            known = file.sha256() if sha256 else None
            parts = (Part(name=name, bytes=file.size, blake3=file.digest, sha256=known),)
            new = Analysis(
                id=new_id(), state="queued", created_at=time.time(), name=name, bytes=file.size,
                key=result_key(parts, version, options, account), parts=parts, request_id="r", options=options,
                account=account,
            )  # fmt: skip
            terms = Terms(max_queued=max_queued, owner=owner, **more)
            return acceptance.add(database, new, [file], terms)

    return do


@pytest.fixture
def armed(tmp_path):
    """A folder of faults (`service.faults`) that this process minds while the test lasts."""
    folder = tmp_path / "faults"
    folder.mkdir()
    faults.arm(folder)
    yield folder
    faults.arm(None)
