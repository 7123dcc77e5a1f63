"""The WSGI application of one web process, `service.wsgi:app`. Importing it starts the engine: import after a fork."""

from __future__ import annotations

from pathlib import Path

from service import config, faults
from service.sandbox.client import Sandbox
from service.web import logs
from service.web.app import create_app
from service.web.folders import run_dir
from service.web.services import assemble

settings = config.load()
logs.configure(settings.log_level)
faults.arm(Path(settings.faults) if settings.faults else None)
services = assemble(settings, Sandbox(run_dir(settings)))
services.start()
app = create_app(services)
