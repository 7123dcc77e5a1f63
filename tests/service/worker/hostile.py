"""A stand-in for the readers: the upload's text names what this reader does, as a reader taken over by a file might.

Loaded by the warm process as `--test-module`, never by the service. A `Model` whose notes tell what happened comes
back, where anything comes back.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import socket
import stat
import struct
import sys
import threading
import time
from pathlib import Path

from service import frames, wire
from service.errors import MalformedFile
from service.formats import BuildRequest, Format, Upload
from service.tree import Model, ModelInfo

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
    return Model(info=ModelInfo(format="hostile", framework="keras"), layers=(), notes=notes)


def answer_pipe() -> int:
    """The descriptor through which the answer goes."""
    return next(number for number in open_descriptors() if number > 2 and stat.S_ISFIFO(os.fstat(number).st_mode))


def open_descriptors() -> list[int]:
    """What is open here; asked one by one, for /proc is out of reach."""
    found = []
    for number in range(256):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def do_say(text: str) -> tuple[str]:
    return (text,)


def do_pid(_: str) -> tuple[str]:
    return (str(os.getpid()),)


def do_spin(_: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
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
    kinds = []
    for number in open_descriptors():
        mode = os.fstat(number).st_mode
        kinds.append(
            next(name for name in ("fifo", "sock", "reg", "chr", "dir") if getattr(stat, f"S_IS{name.upper()}")(mode))
        )
    return kinds


def do_environment(_: str) -> list[str]:
    return [f"{name}={value}" for name, value in os.environ.items()]


def do_import_late(_: str) -> tuple[str]:
    import wave  # not loaded so far, which is the point

    return (wave.__name__,)


def do_thread_socket(_: str) -> list[str]:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(attempt(lambda: socket.socket().close())))
    thread.start()
    thread.join()
    return found


def do_escape(_: str) -> list[str]:
    return [f"{name}: {attempt(how)}" for name, how in ESCAPES.items()]


def do_attempt(names: str) -> list[str]:
    return [f"{name}: {attempt(ESCAPES[name])}" for name in names.split()]


def attempt(how) -> str:
    """The name of the error that stopped `how`, or "done"."""
    try:
        how()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "error")
    except ValueError:
        return "EPERM"  # how Python reports a limit that may not be raised
    return "done"


def _own_signals_to_parent() -> None:
    pipe = answer_pipe()
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getppid())


NOWHERE = Path("/tmp/weighbridge-escape")
"""A file that nobody has: should the wall fail, no attempt may do harm."""

ESCAPES = {
    "read_home": lambda: Path("/root/.profile").read_text(),
    "read_etc": lambda: Path("/etc/passwd").read_text(),
    "read_proc": lambda: Path("/proc/1/environ").read_text(),
    "list_tmp": lambda: list(Path("/tmp").iterdir()),
    "create": lambda: NOWHERE.write_text("x"),
    "device": lambda: os.close(os.open("/dev/null", os.O_WRONLY)),
    "rename": lambda: NOWHERE.rename("/tmp/weighbridge-renamed"),
    "unlink": NOWHERE.unlink,
    "symlink": lambda: NOWHERE.symlink_to("/"),
    "chmod": lambda: NOWHERE.chmod(0o600),
    "truncate": lambda: os.truncate(NOWHERE, 0),
    "chroot": lambda: os.chroot("/"),
    "chdir": lambda: os.chdir("/tmp"),
    "inet": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "socketpair": socket.socketpair,
    "fork": os.fork,
    "pipe": os.pipe,
    "signal_all": lambda: os.kill(-1, 0),
    "signal_parent": lambda: os.kill(os.getppid(), 0),
    "signal_by_owner": _own_signals_to_parent,
    "pidfd": lambda: os.pidfd_open(os.getppid()),
    "raise_limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 1),
    "setuid": lambda: os.setuid(os.getuid()),
    "new_session": os.setsid,
    "memory_file": lambda: os.memfd_create("x"),
}
