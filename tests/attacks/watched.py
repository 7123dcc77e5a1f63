"""Reads every attack in one process whose interpreter reports what it does; prints what no reader may do, as JSON.

Run by `test_nothing_runs.py` as a program of its own: an audit hook (PEP 578) cannot be taken off again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.config import Limits
from service.enrich.pipeline import warm
from service.errors import InputError
from service.formats import Upload
from service.registry import load_readers
from service.source import FileSource, Meter
from service.worker.reading import read
from service.worker.rehearsal import rehearse
from tests.attacks.frame import Trap, catalogue

SUSPICIOUS = (
    "open", "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "exec", "compile", "import", "marshal.", "pickle.",
    "tempfile.", "glob.", "urllib.", "code.", "function.", "pty.", "ftplib.", "http.", "smtplib.", "sqlite3.", "mmap.",
    "signal.", "webbrowser.", "sys.addaudithook", "builtins.breakpoint", "builtins.input", "_thread.", "gc.", "fcntl.",
)  # fmt: skip
"""Beginnings of audit events that reading a file never has: docs.python.org/3/library/audit_events.html."""


class Watch:
    """Counts suspicious events while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: Counter[str] = Counter()

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Take an event. `ast.literal_eval` compiles text to a tree and runs nothing."""
        if self.on and event.startswith(SUSPICIOUS) and not (event == "compile" and args[1] == "<unknown>"):
            self.seen[f"{event} {str(args[:1])[:80]}"] += 1


def main() -> None:
    """Everything, once; for each attack that did something, what."""
    readers = load_readers()
    warm()
    rehearse(readers)
    watch = Watch()
    sys.addaudithook(watch)
    control = _control(watch)
    told: dict[str, list[str]] = {}
    attacks = catalogue()
    for attack in attacks:
        with tempfile.TemporaryDirectory() as folder:
            trap = Trap(Path(folder) / "trap")
            paths = trap.put(attack.files(trap))
            meter = Meter(Limits())
            opened = {name: path.open("rb") for name, path in paths.items()}
            upload = Upload({name: FileSource(file.fileno(), meter) for name, file in opened.items()}, meter)
            watch.on = True
            with suppress(InputError):
                read(upload, readers)
            watch.on = False
            for file in opened.values():
                file.close()
            happened = [*watch.seen, *trap.sprung()]
            if happened:
                told[attack.label] = happened
            watch.seen.clear()
            trap.close()
    json.dump({"attacks": len(attacks), "told": told, "control": control}, sys.stdout)


def _control(watch: Watch) -> list[str]:
    """That the watch is awake: it reports a file opened and a module imported."""
    watch.on = True
    Path("/dev/null").read_bytes()
    sys.modules.pop("wave", None)
    __import__("wave")
    watch.on = False
    seen = list(watch.seen)
    watch.seen.clear()
    return seen


if __name__ == "__main__":
    main()
