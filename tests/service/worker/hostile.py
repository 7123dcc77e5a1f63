"""A stand-in for the readers: the upload's text names what this reader does, as a reader taken over by a file might.

Loaded by the warm process as `--test-module`, never by the service. A `Model` whose notes tell what happened comes
back, where anything comes back.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # a warm process knows no path but its interpreter's

from service import frames, wire
from service.errors import MalformedFile
from service.formats import BuildRequest, Format, Upload
from service.language import verbatim
from service.tree import Model, ModelInfo
from tests.service.sandbox.tries.base import answer_pipe, open_descriptors

FORMAT = Format(id="hostile", framework="keras", title="", extensions=(), reads="")


def accept(upload: Upload) -> bool:
    """Everything."""
    return True


def find(upload: Upload) -> list[frozenset[str]]:
    """All files together."""
    return [frozenset(upload.parts)]


def read(upload: Upload) -> Model | BuildRequest:
    """Do what the (first) file says."""
    source = next(iter(upload.parts.values()))
    action, _, argument = source.read_at(0, source.size).decode().partition(" ")
    found = globals()[f"do_{action}"](argument)
    if isinstance(found, Model | BuildRequest):
        return found
    return model(*found)


def measure(upload: Upload, found: Model, progress) -> Model:
    """Where values are to be read: do what the model's first note says; makes this a stand-in for their tools, too."""
    progress(1, 4)
    action, _, argument = str(found.notes[0]).partition(" ")
    return model(*globals()[f"do_{action}"](argument))


def model(*notes: str) -> Model:
    """An empty model that says something."""
    return Model(info=ModelInfo(format="hostile", framework="keras"), layers=(), notes=tuple(map(verbatim, notes)))


def do_say(text: str) -> tuple[str]:
    return (text,)


def do_pid(_: str) -> tuple[str]:
    return (str(os.getpid()),)


def do_spin(_: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        pass


def do_burn(_: str) -> None:
    while True:
        pass


def do_sleep(seconds: str) -> tuple[str]:
    time.sleep(float(seconds))
    return ("slept",)


def do_segfault(_: str) -> None:
    ctypes.string_at(8)


def do_abort(_: str) -> None:
    os.abort()


def do_memory(_: str) -> None:
    held = []
    while True:
        held.append(bytearray(16 << 20))


def do_long_note(length: str) -> tuple[str]:
    return ("x" * int(length),)


def do_garbage(_: str) -> None:
    os.write(answer_pipe(), b'{"model": 17')
    os._exit(0)


def do_nothing(_: str) -> None:
    os._exit(0)


def do_flood(_: str) -> None:
    pipe = answer_pipe()
    while True:
        os.write(pipe, b"x" * 65536)


def do_tell(shares: str) -> list[str]:
    """Frames of progress, `done/total` each, one byte at a time, and then a good answer."""
    pipe = answer_pipe()
    for frame in shares.split():
        done, total = frame.split("/")
        for byte in frames.progress(int(done), int(total)):
            os.write(pipe, bytes([byte]))
    return ["told"]


def do_chatter(_: str) -> None:
    pipe = answer_pipe()
    while True:
        os.write(pipe, frames.progress(1, 2) * 1000)


def do_layers(text: str) -> None:
    """Frames of layers, all with this text, as long as anybody reads."""
    pipe = answer_pipe()
    while True:
        os.write(pipe, struct.pack("=BI", 2, len(text)) + text.encode())


def do_late_frame(_: str) -> None:
    os.write(answer_pipe(), wire.encode(wire.Answer(probes={})) + frames.progress(1, 2))
    os._exit(0)


def do_exit(status: str) -> None:
    os._exit(int(status))


def do_quit(_: str) -> None:
    sys.exit("/secret/path")


def do_bug(text: str) -> None:
    raise KeyError(text)


def do_blame(_: str) -> None:
    raise MalformedFile("It is broken.", member="a/b", offset=7)


def do_accuse(code: str) -> None:
    os.write(answer_pipe(), f'{{"error": {{"code": "{code}", "detail": "lie"}}}}'.encode())
    os._exit(0)


def do_recurse(_: str) -> None:
    do_recurse(_)


def do_request(_: str) -> BuildRequest:
    return BuildRequest(kind="keras", dialect="layer_list", spec={"layers": []})


def do_descriptors(_: str) -> list[str]:
    """For each, whether it has places, as a file does, and how it is open."""
    modes = {os.O_RDONLY: "read", os.O_WRONLY: "write", os.O_RDWR: "both"}
    return [
        f"{'file' if _has_places(number) else 'stream'} {modes[fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE]}"
        for number in open_descriptors()
    ]


def _has_places(number: int) -> bool:
    try:
        os.lseek(number, 0, os.SEEK_CUR)
    except OSError:
        return False
    return True


def do_environment(_: str) -> list[str]:
    return [f"{name}={value}" for name, value in os.environ.items()]
