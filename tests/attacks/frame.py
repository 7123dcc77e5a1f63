"""What an attack is: a script that makes a hostile upload, its idea, its source and what must become of it.

A module of this folder lists its attacks by decorating functions with `attack`; see README.md. The payloads do no harm:
they write a marker, connect to a socket of the test's own, or ask for a file with a secret. `Trap` says afterwards
whether any of that happened.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import socket
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]
"""An upload: names as a client would send them, and contents."""
UPLOAD = "upload"
"""What the file is called where an attack makes only one."""
SERIOUS = ("critical", "high")
_ID = re.compile(r"[A-Z]+\d*-\d{2,}[a-z]?\Z")


class Trap:
    """What payloads aim at. `folder` is all theirs; uploads lie three levels deep in it, so that `../` stays inside.

    Attributes:
        marker: A file that no payload may ever make.
        port: Of a socket that listens on 127.0.0.1, to which nothing may ever connect.
        secret: A file to steal; `SECRET` is what stands in it.
        uploads: Where the runner puts the files.
    """

    SECRET = "swordfish-in-the-vault"  # noqa: S105 - bait

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = folder / "marker"
        self.secret = folder / "secret.txt"
        self.uploads = folder / "a" / "b" / "uploads"
        self.uploads.mkdir(parents=True)
        self.secret.write_text(self.SECRET)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._before: set[Path] = set()

    @property
    def command(self) -> str:
        """For a shell."""
        return f"touch {self.marker}"

    @property
    def python(self) -> str:
        """For `exec`; as an expression for `eval` too."""
        return f"open({str(self.marker)!r}, 'w').close()"

    @property
    def url(self) -> str:
        """For whatever fetches things."""
        return f"http://127.0.0.1:{self.port}/fetched"

    def put(self, files: Files) -> dict[str, Path]:
        """The upload on disk, each file under a number, with its name."""
        paths = {name: self.uploads / str(number) for number, name in enumerate(files)}
        for name, path in paths.items():
            path.write_bytes(files[name])
        self._before = set(self.folder.rglob("*"))
        return paths

    def sprung(self) -> list[str]:
        """What happened that must not."""
        found = [f"{path} appeared" for path in sorted(set(self.folder.rglob("*")) - self._before)]
        found += [f"{path} is gone" for path in sorted(self._before) if not path.is_symlink() and not path.exists()]
        if self.secret.read_text() != self.SECRET:
            found.append("the secret was overwritten")
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return found
        return [*found, "something connected to the socket"]

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()


# What must become of it


@dataclass(frozen=True)
class Refused:
    """Refused with exactly this code; for `limit_exceeded` also with this limit."""

    code: str
    limit: str | None = None


@dataclass(frozen=True)
class Named:
    """Analysed, and this danger is listed: its rule, its severity, and a part of where (member, path or `@offset`).

    Other dangers may be listed beside it.
    """

    code: str
    severity: str
    where: str | None = None


@dataclass(frozen=True)
class Harmless:
    """Analysed, and no danger of `critical` or `high` is listed: what a scanner must not cry wolf about."""

    complete: bool = True


@dataclass(frozen=True)
class Noted:
    """Analysed, and a finding of this rule says that the file contradicts itself."""

    rule: str


Outcome = Refused | Named | Harmless | Noted


def refused(code: str, limit: str | None = None) -> Refused:
    """See `Refused`."""
    return Refused(code, limit)


def named(code: str, severity: str, where: str | None = None) -> Named:
    """See `Named`."""
    return Named(code, severity, where)


def harmless(*, complete: bool = True) -> Harmless:
    """See `Harmless`."""
    return Harmless(complete)


def noted(rule: str) -> Noted:
    """See `Noted`."""
    return Noted(rule)


@dataclass(frozen=True)
class Answer:
    """What the service said, however it was asked: a code with its limit, or dangers as plain data.

    `raw` is every byte of it, to look for secrets in.
    """

    code: str | None
    limit: str | None
    dangers: tuple[Mapping[str, Any], ...]
    complete: bool
    raw: str
    findings: tuple[str, ...] = ()


def complaint(expected: Outcome, answer: Answer) -> str | None:
    """Why `answer` is not what was expected; None if it is."""
    if Trap.SECRET in answer.raw:
        return "the answer holds the secret"
    listed = [(d["code"], d["severity"], _where(d)) for d in answer.dangers]
    if isinstance(expected, Refused):
        if answer.code != expected.code or (expected.limit is not None and answer.limit != expected.limit):
            return f"expected {expected}, got {answer.code} {answer.limit}; {listed}"
        return None
    if answer.code is not None:
        return f"expected {expected}, but it was refused: {answer.code} {answer.limit} {answer.raw[:500]}"
    if isinstance(expected, Harmless):
        loud = [one for one in listed if one[1] in SERIOUS]
        return f"cried wolf: {loud}" if loud or answer.complete is not expected.complete else None
    if isinstance(expected, Noted):
        return None if expected.rule in answer.findings else f"expected {expected}, found {answer.findings}"
    for code, severity, where in listed:
        if (code, severity) == (expected.code, expected.severity) and (expected.where or "") in where:
            return None
    return f"expected {expected}, listed are {listed}"


def _where(danger: Mapping[str, Any]) -> str:
    parts = [str(danger[key]) for key in ("member", "path") if danger.get(key)]
    if danger.get("offset") is not None:
        parts.append(f"@{danger['offset']}")
    return " ".join(parts)


# The catalogue


@dataclass(frozen=True)
class Attack:
    """One of them.

    Attributes:
        id: `P2-07`: the row of the threat catalogue, and a number within it.
        name: In a word or two, with underscores.
        idea: What it tries, one or two sentences.
        source: CVE, advisory, paper, issue or tool whose case it is.
        make: The upload.
        expects: What must become of it.
    """

    id: str
    name: str
    idea: str
    source: str
    make: Callable[[Trap], bytes | Files]
    expects: Outcome

    @property
    def label(self) -> str:
        """Its id and name, as tests are called."""
        return f"{self.id}-{self.name}"

    def files(self, trap: Trap) -> Files:
        """The upload, with names."""
        made = self.make(trap)
        return {UPLOAD: made} if isinstance(made, bytes) else made


@dataclass
class Attacks:
    """Those of one module, in order: `ATTACKS = Attacks()`, and then `@ATTACKS("P2-07", source=..., expects=...)`."""

    all: list[Attack] = field(default_factory=list)

    def __call__(self, id_: str, *, source: str, expects: Outcome) -> Callable[[Any], Any]:
        """Decorates the function that makes the upload: its name names the attack, its docstring is the idea."""

        def keep(make: Callable[[Trap], bytes | Files]) -> Callable[[Trap], bytes | Files]:
            self.add(id_, make.__name__, make.__doc__ or "", source, make, expects)
            return make

        return keep

    def add(self, id_: str, name: str, idea: str, source: str, make: Any, expects: Outcome) -> None:
        """One that is made by a loop and not by a function of its own."""
        if (
            not _ID.match(id_)
            or not idea.strip()
            or not source
            or set(name) - set(f"{string.ascii_letters}{string.digits}_")
        ):
            raise ValueError(f"{id_} {name}: an attack has an id (P2-07), a plain name, an idea and a source")
        self.all.append(Attack(id_, name, " ".join(idea.split()), source, make, expects))


def catalogue() -> list[Attack]:
    """Every attack of every module of this folder that has `ATTACKS`, by module and in its order."""
    package = importlib.import_module("tests.attacks")
    modules = sorted(
        found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("test_")
    )
    held = (getattr(importlib.import_module(f"tests.attacks.{name}"), "ATTACKS", None) for name in modules)
    found = [attack for attacks in held if isinstance(attacks, Attacks) for attack in attacks.all]
    twice = {attack.id for attack in found if sum(one.id == attack.id for one in found) > 1}
    if twice:
        raise ValueError(f"ids are given once: {sorted(twice)}")
    return found


def sample(attacks: list[Attack]) -> list[Attack]:
    """The first attack of each row of the threat catalogue: few enough to be sent over HTTP one by one."""
    rows: dict[str, Attack] = {}
    for attack in attacks:
        rows.setdefault(attack.id.partition("-")[0], attack)
    return list(rows.values())
