"""Keys as an operator makes them and as a client sends them."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.http.conftest import ROOT


def make_key(service, account, role="submitter", *more):
    """A new key, made as an operator makes it."""
    return keys(service, "add", account, "--role", role, *more).stdout.strip()


def keys(service, *arguments):
    """What `weighbridge keys` says."""
    environment = os.environ | {"WEIGHBRIDGE_DATA_DIR": str(service.data_dir)}
    command = [sys.executable, "-m", "service.cli", "keys", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)


def bearer(text):
    """The header with a key or a token."""
    return {"Authorization": f"Bearer {text}"}
