"""Folders of one installation beside its uploads. Imports nothing that counts: it runs before the counters exist."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from service.config import Settings


def run_dir(settings: Settings) -> Path:
    """Where the sockets live."""
    return Path(settings.data_dir).absolute() / "run"


def prepare_metrics(settings: Settings) -> None:
    """An empty folder for the processes' numbers, named to prometheus_client; it looks while it is first imported."""
    os.umask(0o077)  # all that the service writes is for its user alone
    folder = run_dir(settings) / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
