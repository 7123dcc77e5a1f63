"""The command `weighbridge keys`: API keys made, listed and revoked. A key is printed once, and taken nowhere.

No secret is ever an argument: those of a running command are for everybody on the machine to read.
"""

from __future__ import annotations

import datetime as dt
import getpass
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from service import config
from service.access import keys as api_keys
from service.access.audit import Audit
from service.access.callers import ROLES, Quotas, Role
from service.jobs.blobs import Blobs
from service.jobs.database import Database, open_database

MOST_YEARS = 1000
"""An end beyond it is no date that could be shown."""
SPANS = {"h": 3600.0, "d": 86400.0, "y": 365 * 86400.0}
_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdy])")


@click.group()
def keys() -> None:
    """Who may ask: API keys of the installation in WEIGHBRIDGE_DATA_DIR."""


class _Span(click.ParamType[float | None]):
    """`90d`, `12h`, `1y`; `never`."""

    name = "span"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float | None:
        """Seconds, None for ever."""
        found = _SPAN.fullmatch(value)
        if found is None and value != "never":
            self.fail(f"{value!r} is not a time such as 12h, 90d or 1y, nor never.", param, ctx)
        seconds = None if found is None else int(found[1]) * SPANS[found[2]]
        if seconds is not None and seconds > MOST_YEARS * SPANS["y"]:
            self.fail(f"{value!r} is more than {MOST_YEARS} years; say never.", param, ctx)
        return seconds


@keys.command()
@click.argument("account")
@click.option("--role", type=click.Choice(ROLES), default="submitter", show_default=True)
@click.option("--expires-in", "seconds", type=_Span(), default="1y", show_default=True, help="12h, 90d, 1y or never.")
@click.option("--quota", multiple=True, metavar="NAME=NUMBER", help=f"{', '.join(Quotas.__struct_fields__)}; 0: none.")
def add(account: str, role: Role, seconds: float | None, quota: tuple[str, ...]) -> None:
    """Make a key for ACCOUNT, and print it. All keys of an account see the same analyses."""
    with _database() as database:
        try:
            key, text = api_keys.add(database, account, role, seconds=seconds, quotas=_quotas(quota))
        except ValueError as error:
            raise click.ClickException(str(error)) from None
    _note("add_key", key=key.id, account_of_key=key.account, role_of_key=key.role)
    click.echo(f"{key.role} of {key.account}, expires {_day(key.expires_at)}. It is shown only now:", err=True)
    click.echo(text)


def _quotas(given: tuple[str, ...]) -> dict[str, int]:
    """Of `name=number`. ValueError for what is no quota."""
    found = {}
    for name, _, number in (item.partition("=") for item in given):
        if name not in Quotas.__struct_fields__ or not (number.isascii() and number.isdigit()):
            raise ValueError(f"A quota is NAME=NUMBER; the names are {', '.join(Quotas.__struct_fields__)}.")
        found[name] = int(number)
    return found


@keys.command(name="list")
def show() -> None:
    """List all keys that were ever made."""
    with _database() as database:
        found = api_keys.all_keys(database)
    now = time.time()
    click.echo(_line("id", "account", "role", "state", "made", "expires"))
    for key in found:
        click.echo(_line(key.id, key.account, key.role, key.state(now), _day(key.created_at), _day(key.expires_at)))


def _line(*cells: str) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, (12, 24, 9, 7, 10, 10), strict=True)).rstrip()


def _day(seconds: float | None) -> str:
    return "never" if seconds is None else dt.datetime.fromtimestamp(seconds, tz=dt.UTC).date().isoformat()


@keys.command()
@click.argument("identifier", metavar="ID")
def revoke(identifier: str) -> None:
    """Make the key with this ID (from `list`; not the key itself) invalid from now on."""
    if api_keys.is_key(identifier):
        raise click.ClickException("Give the id only, the 12 characters after wb_: a whole key does not belong here.")
    with _database() as database:
        done = api_keys.revoke(database, identifier)
    if not done:
        raise click.ClickException("There is no key with this id.")
    _note("revoke_key", key=identifier)
    click.echo("Revoked.", err=True)


def _note(action: str, **facts: str) -> None:
    Audit(config.load().access.audit_log, always=False).note(None, action, by=_user(), **facts)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


@contextmanager
def _database() -> Iterator[Database]:
    """That of the installation; made, for this user alone, if the service has not run yet."""
    os.umask(0o077)
    settings = config.load()
    Blobs(settings.data_dir).prepare()
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()
