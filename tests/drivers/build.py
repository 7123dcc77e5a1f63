"""Builds specs with a framework, one JSON document a line on standard input, one answer a line on standard output.

Runs under the framework's interpreter: `build.py keras < specs.jsonl`. Each document goes through the readers first,
as an upload would.
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
from service.formats import Upload
from service.language import Message
from service.readers import hf_config, keras_json, layer_list
from service.registry import load_builder
from service.source import BytesSource, Meter
from service.wire import decode_build, encode


def answer(line: str, kind: str) -> dict[str, Any]:
    """The model or the error for one document; `crash` for anything else that a builder raised."""
    builder = load_builder(kind)
    limits = Limits()
    meter = Meter(limits)
    upload = Upload({"spec.json": BytesSource(line.encode(), meter)}, meter)
    try:
        reader = next((reader for reader in (keras_json, layer_list, hf_config) if reader.accept(upload)), None)
        if reader is None:
            return {"unknown": True}
        request = decode_build(encode(reader.read(upload)))  # type: ignore[arg-type]
        started = time.monotonic()
        model = builder.build(request, limits)
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
