"""gunicorn for Weighbridge: threaded workers, one supervisor of the sandbox beside them. HOST and PORT say where.

A gunicorn configuration (`gunicorn --config python:service.gunicorn_conf`); nothing imports it but gunicorn, and
`deploy/gunicorn.conf.py`, where an installation may change what it sets. Knows gunicorn's names; no HTTP, no jobs.
"""

import os
from typing import Any

from service.config import load
from service.web.folders import prepare_metrics

_settings = load()
prepare_metrics(_settings)

from prometheus_client import multiprocess  # noqa: E402 - must find its folder when it is first imported

from service.web import logs, server  # noqa: E402 - they import prometheus_client

logs.configure(_settings.log_level)

_address = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"

wsgi_app = "service.wsgi:app"
bind = [_address]
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "service.web.worker.Worker"
threads = _settings.max_concurrent_uploads + _settings.max_waiting + _settings.spare_threads
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - heartbeats belong in memory
control_socket_disable = True
preload_app = False  # connections and threads must be made after the fork
timeout = 60  # of a worker's heartbeat: requests may take longer
graceful_timeout = 30
keepalive = 15
backlog = 1024
accesslog = None  # the application logs each request as JSON
loglevel = "warning"
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")

_supervised: list[server.Supervised] = []


def on_starting(_master: Any) -> None:
    """Nothing is served unless uploads can be read behind the wall."""
    server.prepare(_settings)
    _supervised.append(server.Supervised(_settings))
    _supervised[0].await_static()


def when_ready(_master: Any) -> None:
    """The port is open."""
    _supervised[0].watch()


def post_worker_init(worker: Any) -> None:
    """The first worker says when the service is ready."""
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
