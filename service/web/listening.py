"""Where the service listens: found from its open sockets, which a setting or a command line may have moved.

Whether a key is needed depends on it (`service.access.rules`). Knows gunicorn's listeners by their addresses only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from service.access import gate, keys, rules
from service.access.addresses import UNIX, described, parse_bind
from service.config import Settings
from service.errors import ServiceError
from service.jobs.database import open_database


def address(host: str, port: str) -> str:
    """What gunicorn is to bind: an IPv6 address in brackets, a unix socket (`unix:/path`) without a port."""
    if host.startswith(UNIX):
        return host
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def check_environment(environ: Mapping[str, str]) -> None:
    """That PORT and WEB_CONCURRENCY can be meant, which gunicorn reads by itself; ValueError says what is wrong."""
    for name, least, most in (("PORT", 0, 65535), ("WEB_CONCURRENCY", 1, 1024)):
        given = environ.get(name)
        if given is not None and not (given.isascii() and given.isdecimal() and least <= int(given[:9]) <= most):
            raise ValueError(f"{name}={given!r}: it must be a whole number from {least} to {most}.")


def bound(settings: Settings, listeners: Sequence[Any]) -> str:
    """The hosts of the open listeners, with commas; that of the port for monitoring does not count."""
    return _hosts(settings, [listener.getsockname() for listener in listeners])


def _hosts(settings: Settings, addresses: Sequence[Any]) -> str:
    admin = parse_bind(settings.access.admin_bind) if settings.access.admin_bind else None
    return ",".join(described(local) for local in addresses if admin is None or not admin.received(local))


def tell(settings: Settings, listeners: Sequence[Any], proxies: str) -> None:
    """Say it to the application, which is loaded in this process next and reads the environment."""
    os.environ["WEIGHBRIDGE_BOUND"] = bound(settings, listeners)
    os.environ["WEIGHBRIDGE_PROXIES"] = proxies


def check(settings: Settings, addresses: Sequence[Any]) -> None:
    """Before anything listens at `addresses`: SystemExit, with a sentence, for settings that cannot be meant there."""
    access = msgspec.structs.replace(settings.access, bound=_hosts(settings, addresses))
    try:
        gate.check(msgspec.structs.replace(settings, access=access))
    except ValueError as error:
        raise SystemExit(f"weighbridge: {error}") from None


def warn(settings: Settings, listeners: Sequence[Any]) -> None:
    """Tell the operator, once, if anybody can do anything, or if nobody can do anything yet."""
    access = msgspec.structs.replace(settings.access, bound=bound(settings, listeners))
    text = rules.warning(access, has_keys=_has_keys(settings), command=_command())
    if text:
        sys.stderr.write(f"weighbridge: {text}\n")
        sys.stderr.flush()


def _command() -> str:
    """How this installation's command is called."""
    beside = Path(sys.executable).with_name("weighbridge")
    return str(beside) if beside.exists() else "weighbridge"


def _has_keys(settings: Settings) -> bool:
    database = open_database(settings)
    try:
        return keys.any_active(database)
    except ServiceError:
        return True  # the database does not answer: that is said elsewhere
    finally:
        database.close()
