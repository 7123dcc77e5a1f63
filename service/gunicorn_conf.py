"""gunicorn for Weighbridge: threaded workers, one supervisor of the sandbox beside them. HOST and PORT say where.

A gunicorn configuration (`gunicorn --config python:service.gunicorn_conf`); nothing imports it but gunicorn, and
`deploy/gunicorn.conf.py`, where an installation may change what it sets. Knows gunicorn's names; no HTTP, no jobs.
"""

import os
import shutil
from typing import Any

from service.config import load
from service.web.folders import prepare_metrics

_settings = load()
try:
    _numbers = prepare_metrics(_settings)
except OSError as error:
    raise SystemExit(f"weighbridge: the data folder {_settings.data_dir} cannot be used: {error}") from None

from prometheus_client import multiprocess  # noqa: E402 - must find its folder when it is first imported

from service.web import listening, logs, server  # noqa: E402 - they import prometheus_client

logs.configure(_settings.log_level)

_address = listening.address(os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8000"))

wsgi_app = "service.wsgi:app"
bind = [_address, _settings.access.admin_bind] if _settings.access.admin_bind else [_address]
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "service.web.worker.Worker"
threads = server.threads(_settings)
worker_connections = server.connections(_settings)
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - heartbeats belong in memory
control_socket_disable = True
sendfile = False  # it would wait for a client that does not read
preload_app = False  # connections and threads must be made after the fork
timeout = 60  # of a worker's heartbeat: requests may take longer
graceful_timeout = 30
keepalive = 15
backlog = 1024
accesslog = None  # the application logs each request as JSON
loglevel = "warning"
limit_request_line = 8190  # bytes; nginx passes on 8 KiB: a layer's path may be long
limit_request_fields = 100
limit_request_field_size = 8190  # a bearer token may be long
header_map = "drop"  # a field with an underscore in its name is none: X_API_KEY must not pass for X-API-Key
forwarder_headers = ""  # no field says what path was meant
http_protocols = "h1"
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")

_supervised: list[server.Supervised] = []


def on_starting(master: Any) -> None:
    """Nothing is served unless uploads can be read behind the wall."""
    listening.check(_settings, master.cfg.address)
    server.check_faults(_settings, _address)
    server.prepare(_settings)
    _supervised.append(server.Supervised(_settings))
    _supervised[0].await_static()


def when_ready(master: Any) -> None:
    """The port is open."""
    _supervised[0].watch()
    listening.warn(_settings, master.LISTENERS)


def post_fork(_master: Any, worker: Any) -> None:
    """Before the application is loaded: it asks for keys by what can reach it, whatever any setting says."""
    listening.tell(_settings, worker.sockets, forwarded_allow_ips)


def post_worker_init(worker: Any) -> None:
    """The first worker says when the service is ready. All let nobody wait for a job any more once they are to end."""
    from service.wsgi import services  # noqa: PLC0415 - importing it starts it, in a web worker only

    server.drain_first(services.engine.drain)
    if worker.age == 1:
        server.announce(_settings, _address)


def worker_exit(_master: Any, _worker: Any) -> None:
    """Give running jobs a moment, put the others back."""
    from service.wsgi import services  # noqa: PLC0415 - importing it starts it, in a web worker only

    services.close(patience=5.0)


def child_exit(_master: Any, worker: Any) -> None:
    """Forget a dead process's gauges."""
    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_master: Any) -> None:
    """The last thing: the sandbox ends with the service."""
    for supervised in _supervised:
        supervised.stop()
    shutil.rmtree(_numbers, ignore_errors=True)
