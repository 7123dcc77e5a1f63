"""Asks other scanners about files, inside the environment where they are installed; needs nothing of this project.

`python scanners.py TOOL` reads paths from its standard input, one a line, and prints a verdict for each: `flagged` as
dangerous, `named` as something lesser (a warning, a suspicion), `clean`, `skipped` (not looked at), or `error`. Nothing
is loaded: each tool's own static scan is called.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

SECONDS = 20
"""Longest for one file."""


def picklescan(path: Path) -> str:
    """Any dangerous global; those that are only suspicious are named."""
    from picklescan.scanner import scan_file_path

    found = scan_file_path(str(path))
    if found.issues_count:
        return "flagged"
    if found.suspicious_count:
        return "named"
    return "error" if found.scan_err else "clean" if found.scanned_files else "skipped"


def modelscan(path: Path) -> str:
    """Any issue that is critical or high; lesser ones are named."""
    from modelscan.modelscan import ModelScan

    summary = ModelScan().scan(path)["summary"]
    if summary["total_issues"]:
        counted = summary["total_issues_by_severity"]
        return "flagged" if counted["CRITICAL"] or counted["HIGH"] else "named"
    return "clean" if summary["scanned"]["total_scanned"] else "skipped"


def fickling(path: Path) -> str:
    """Anything that is likely unsafe or worse; what is only suspicious is named. Archives by their members."""
    from fickling import scan_file, scan_zip_archive
    from fickling.analysis import Severity

    if path.read_bytes().startswith(b"PK"):
        found = list(scan_zip_archive(str(path), graceful=True).values())
    else:
        found = [scan_file(str(path), graceful=True)]
    if not found:
        return "skipped"
    if all(one.is_safe for one in found):
        return "clean"
    return "named" if all(one.severity < Severity.LIKELY_UNSAFE for one in found) else "flagged"


def modelaudit(path: Path) -> str:
    """Any issue that is critical; warnings are named."""
    from modelaudit.core import scan_model_directory_or_file

    found = scan_model_directory_or_file(str(path), skip_file_types=False)
    severities = {str(getattr(issue.severity, "value", issue.severity)).lower() for issue in found.issues}
    if "critical" in severities:
        return "flagged"
    if "warning" in severities:
        return "named"
    return "clean" if found.files_scanned else "skipped"


TOOLS: dict[str, Callable[[Path], str]] = {
    "picklescan": picklescan,
    "modelscan": modelscan,
    "fickling": fickling,
    "modelaudit": modelaudit,
}


def _late(*_: object) -> None:
    raise TimeoutError


def verdict(tool: Callable[[Path], str], path: Path) -> str:
    """What it says, `error` where it breaks or takes too long."""
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return tool(path)
    except (Exception, SystemExit):  # noqa: BLE001 - another program's failure is a verdict
        return "error"
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asked = TOOLS[sys.argv[1]]
    answers = [verdict(asked, Path(line.rstrip("\n"))) for line in sys.stdin]
    json.dump(answers, sys.stdout)
