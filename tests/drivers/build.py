"""Builds specs with a framework, one JSON build request a line on standard input, one answer a line on standard output.

Runs under the framework's interpreter, which holds no reader: `build.py keras < requests.jsonl`.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
import traceback
from typing import Any

import msgspec

from service.config import Limits
from service.errors import WeighbridgeError
from service.language import Message
from service.registry import load_builder
from service.wire import decode_build


def answer(line: str, kind: str) -> dict[str, Any]:
    """The model or the error for one request; `crash` for anything else that a builder raised."""
    builder = load_builder(kind)
    try:
        started = time.monotonic()
        model = builder.build(decode_build(line.encode()), Limits())
        return {"model": msgspec.to_builtins(model, enc_hook=said), "seconds": time.monotonic() - started}
    except WeighbridgeError as error:
        return {"error": msgspec.to_builtins(error.info, enc_hook=said)}
    except Exception:  # noqa: BLE001 - the test wants to see what should not be
        return {"crash": traceback.format_exc()}


def said(message: Message) -> str:
    """A sentence, as a person reads it."""
    return str(message)


def main() -> None:
    """Answer every line."""
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            found = answer(line.rstrip("\n"), sys.argv[1])
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
