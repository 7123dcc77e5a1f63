"""How the service starts with its settings of access: wanting keys by itself on a public address, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.fakes import wait_for
from tests.http.access_keys import bearer, make_key
from tests.http.conftest import ROOT, Service, free_port

HERE = "/v1/analyses"


def test_a_public_address_wants_keys_by_itself(tmp_path):
    """And says how to make the first; whatever address a request comes in on."""
    public = Service(tmp_path / "data", HOST="0.0.0.0")  # noqa: S104 - nothing is served there without a key
    try:
        wait_for(lambda: any("Weighbridge is ready" in line for line in public.output), 60)
        assert any("weighbridge keys add" in line for line in public.output)
        assert public.ask("GET", HERE).status == 401
        assert public.ask("GET", HERE, headers=bearer(make_key(public, "ann"))).status == 200
        assert public.ask("GET", "/healthz").status == 200
    finally:
        assert public.stop() == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WEIGHBRIDGE_AUTH", "no", "WEIGHBRIDGE_AUTH='no'"),
        ("WEIGHBRIDGE_CORS_ORIGINS", "*", "WEIGHBRIDGE_CORS_ORIGINS"),
        ("WEIGHBRIDGE_TOKEN_ISSUER", "https://issuer.example", "WEIGHBRIDGE_TOKEN_AUDIENCE"),
        ("WEIGHBRIDGE_ADMIN_BIND", "9000", "WEIGHBRIDGE_ADMIN_BIND"),
    ],
)
def test_settings_that_cannot_be_meant_end_the_start(tmp_path, name, value, said):
    """With the variable's name, before anything is served."""
    environment = os.environ | {"WEIGHBRIDGE_DATA_DIR": str(tmp_path / "data"), name: value, "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "serve"], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0
    assert said in done.stderr
