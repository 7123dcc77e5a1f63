"""`python -m tests.attacks.peers`: four scanners and this service on the same files, as the table of docs/security.md.

The scanners are installed into an environment of their own in the test cache, pinned, and asked statically about files
in a folder there. Their verdicts are kept by the files' digests: the first run takes half an hour, the next a minute.
`--without-peers` prints this service's column only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from service.enrich.pipeline import warm
from service.errors import InputError
from service.registry import load_readers
from service.worker.reading import read
from tests.attacks.corpora import FOLDER, PEERS, Case, everything
from tests.attacks.frame import SERIOUS, Trap
from tests.service.readers.fielded import upload

OURS = "weighbridge"
AT_ONCE = 40
"""Files asked about in one go, between two savings."""
SCRIPT = Path(__file__).with_name("scanners.py")


def main() -> None:
    """Ask everybody, print the table."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--without-peers", action="store_true", help="this service only, without their environment")
    alone = given.parse_args().without_peers
    folder = FOLDER / "asked"
    shutil.rmtree(folder, ignore_errors=True)
    trap = Trap(folder / "trap")  # always the same, and so are the payloads
    cases = everything(trap)
    verdicts = {OURS: [verdict(case) for case in cases]}
    for tool in () if alone else PEERS:
        verdicts[tool] = _verdicts(tool, cases, folder / "files")
    if trap.marker.exists():
        raise RuntimeError("something was executed")
    trap.close()
    sys.stdout.write(table(cases, verdicts))


def verdict(case: Case) -> str:
    """This service's: `flagged` (a danger of high or critical), `named` (a lesser one), `refused` or `clean`."""
    try:
        model = read(upload(case.files), READERS).model
    except InputError:
        return "refused"
    severities = {danger.severity for danger in (model.security if model else ())}
    if severities & set(SERIOUS):
        return "flagged"
    return "named" if severities else "clean"


def _verdicts(tool: str, cases: list[Case], folder: Path) -> list[str]:
    """One scanner's verdicts, those that are known and then, some at a time, the others."""
    asking = hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:8]
    kept = FOLDER / f"verdicts-{tool}-{PEERS[tool][0]}-{asking}.json"
    known: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
    digests = [_digest(case) for case in cases]
    missing = [number for number, digest in enumerate(digests) if digest not in known]
    for at in range(0, len(missing), AT_ONCE):
        some = missing[at : at + AT_ONCE]
        answers = _asked(tool, [_written(cases[number], folder / str(number)) for number in some])
        known.update((digests[number], answer) for number, answer in zip(some, answers, strict=True))
        kept.write_text(json.dumps(known, indent=0, sort_keys=True))
    return [known[digest] for digest in digests]


def _digest(case: Case) -> str:
    found = hashlib.sha256()
    for name, data in case.files.items():
        found.update(f"{name} {len(data)}\n".encode() + data)
    return found.hexdigest()


def _written(case: Case, folder: Path) -> Path:
    """A case in a folder of its own: its file, or the folder where it has several."""
    for name, data in case.files.items():
        path = folder / name.replace("\0", "_")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / next(iter(case.files)) if len(case.files) == 1 else folder


def _asked(tool: str, paths: list[Path]) -> list[str]:
    """One scanner, once."""
    done = subprocess.run(
        [str(_environment() / "bin" / "python"), "-I", str(SCRIPT), tool], capture_output=True, text=True, check=False,
        input="".join(f"{path}\n" for path in paths),
        env={"PATH": "/usr/bin:/bin", "HOME": str(FOLDER), "PROMPTFOO_DISABLE_TELEMETRY": "1"},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{tool}: {done.stderr[-2000:]}")
    answers: list[str] = json.loads(done.stdout.splitlines()[-1])
    return answers


def _environment() -> Path:
    """Where the scanners are installed."""
    folder = FOLDER / "venv"
    mark = folder / ".installed"
    if not mark.exists():
        venv.create(folder, with_pip=True, clear=True)
        wanted = [f"{name}=={version}" for name, (version, _) in PEERS.items()]
        command = [
            str(folder / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            *wanted,
        ]
        subprocess.run(command, check=True)
        mark.touch()
    return folder


def table(cases: list[Case], verdicts: Mapping[str, list[str]]) -> str:
    """Markdown: for each corpus and tool, what was flagged of the malicious and of the harmless."""
    tools = list(verdicts)
    lines = ["| corpus | files | " + " | ".join(tools) + " |", "| --- | ---: |" + " --- |" * len(tools)]
    for malicious in (True, False):
        for corpus in dict.fromkeys(case.corpus for case in cases if case.malicious is malicious):
            at = [n for n, case in enumerate(cases) if (case.corpus, case.malicious) == (corpus, malicious)]
            cells = [_cell(Counter(verdicts[tool][n] for n in at), malicious=malicious) for tool in tools]
            what = f"{corpus}, {'malicious' if malicious else 'harmless'}"
            lines.append(f"| {what} | {len(at)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(counted: Counter[str], *, malicious: bool) -> str:
    """`75 flagged, 3 named, 4 refused`; of the malicious, what passed is set in bold."""
    words = []
    for word in ("flagged", "named", "refused", "error", "skipped", "clean"):
        if counted[word]:
            passed = malicious and word in ("clean", "skipped")
            words.append(f"**{counted[word]} {word}**" if passed else f"{counted[word]} {word}")
    return ", ".join(words)


READERS = load_readers()

if __name__ == "__main__":
    warm()
    main()
