"""Tries at files: to read those of others, to find out about them, to leave something behind."""

from __future__ import annotations

# The calls themselves are meant:
# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH115, PTH116, PTH208, PTH211
import ctypes
import errno
import fcntl
import mmap
import os
import sqlite3
from pathlib import Path

from tests.service.sandbox.tries.base import WALL, Target, a_try, made, open_descriptors, raw

NAME = "weighbridge-escape"
READ, LEARN, LEAVE = "read what is another's", "find out about others", "leave something behind"


def _read(path: str | Path) -> str:
    with made(os.open(path, os.O_RDONLY)) as descriptor:
        return f"{len(os.read(descriptor, 1 << 16))} bytes"


@a_try(READ, "another's upload by its path")
def read_upload(target: Target) -> str:
    return _read(target.upload)


@a_try(READ, "its own upload by its path, which is not its to know")
def read_own_path(target: Target) -> str:
    return _read(target.own)


@a_try(READ, "another's upload through a descriptor of another process")
def read_upload_held(target: Target) -> str:
    return _read(f"/proc/{target.victim}/fd/{target.held}")


@a_try(READ, "another's upload by openat2")
def read_upload_openat2(target: Target) -> str:
    how = ctypes.create_string_buffer(24)
    with made(raw("openat2", -100, target.upload.encode(), how, 24)):
        return "opened"


@a_try(READ, "the database, as SQLite opens it")
def read_database(target: Target) -> str:
    try:
        with sqlite3.connect(f"file:{target.database}?mode=ro", uri=True) as database:
            return str(database.execute("select count(*) from sqlite_master").fetchone()[0])
    except sqlite3.OperationalError as error:
        raise PermissionError(errno.EACCES, str(error)) from None


@a_try(READ, "the list of uploads")
def list_uploads(target: Target) -> str:
    with made(os.open(target.folder, os.O_RDONLY | os.O_DIRECTORY)) as descriptor:
        return f"{len(os.listdir(descriptor))} names"


@a_try(READ, "/etc/passwd")
def read_accounts(_: Target) -> str:
    return _read("/etc/passwd")


@a_try(READ, "the program's own source")
def read_source(_: Target) -> str:
    return _read(os.__file__)


@a_try(READ, "the environment of another process")
def read_environment(target: Target) -> str:
    return _read(f"/proc/{target.victim}/environ")


@a_try(READ, "the command line of another process")
def read_command_line(target: Target) -> str:
    return _read(f"/proc/{target.victim}/cmdline")


@a_try(READ, "the memory map of another process")
def read_map(target: Target) -> str:
    return _read(f"/proc/{target.victim}/maps")


@a_try(READ, "the memory of another process as a file")
def read_memory_file(target: Target) -> str:
    with made(os.open(f"/proc/{target.victim}/mem", os.O_RDONLY)) as descriptor:
        return os.pread(descriptor, len(target.secret), target.address).decode()


@a_try(READ, "the environment of the warm process")
def read_parent_environment(_: Target) -> str:
    return _read(f"/proc/{os.getppid()}/environ")


@a_try(LEARN, "which processes there are")
def list_processes(_: Target) -> str:
    return f"{sum(name.isdigit() for name in os.listdir('/proc'))} processes"


@a_try(LEARN, "whether an upload is there, how large and how old")
def look_at_upload(target: Target) -> str:
    return f"{os.stat(target.upload).st_size} bytes"


@a_try(LEARN, "whether a file is there, by access()")
def ask_for_access(target: Target) -> str:
    if os.access(target.upload, os.F_OK):
        return "it is there"
    raise PermissionError(errno.EPERM, "no answer")


@a_try(LEARN, "where its own upload lies")
def follow_own_link(_: Target) -> str:
    return os.readlink(f"/proc/self/fd/{_own_upload()}")


@a_try(LEARN, "where another process works")
def follow_link(target: Target) -> str:
    return os.readlink(f"/proc/{target.victim}/cwd")


@a_try(LEARN, "what changes in the data folder")
def watch_folder(_: Target) -> str:
    with made(raw("inotify_init1", 0)):
        return "watching"


def _create(folder: str) -> str:
    path = f"{folder}/{NAME}"
    with made(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)) as descriptor:
        os.unlink(path)
        return f"{os.write(descriptor, b'x')} byte"


@a_try(LEAVE, "a file in /tmp")
def create_in_tmp(_: Target) -> str:
    return _create("/tmp")


@a_try(LEAVE, "a file in /dev/shm")
def create_in_shm(_: Target) -> str:
    return _create("/dev/shm")


@a_try(LEAVE, "a file in the data folder")
def create_in_data(target: Target) -> str:
    return _create(target.folder)


@a_try(LEAVE, "a file without a name")
def create_nameless(_: Target) -> str:
    with made(os.open("/tmp", os.O_TMPFILE | os.O_RDWR)) as descriptor:
        return f"{os.write(descriptor, b'x')} byte"


@a_try(LEAVE, "a file in memory")
def create_in_memory(_: Target) -> str:
    with made(os.memfd_create(NAME)):
        return "made"


@a_try(LEAVE, "other bytes in another's upload")
def write_upload(target: Target) -> str:
    with made(os.open(target.upload, os.O_WRONLY)) as descriptor:
        return f"{os.pwrite(descriptor, b'', 0)} bytes"


@a_try(LEAVE, "other bytes in its own upload, through its descriptor", WALL | {errno.EBADF})
def write_own_upload(_: Target) -> str:
    return f"{os.write(_own_upload(), b'x')} byte"


@a_try(LEAVE, "its own upload opened once more, for writing")
def reopen_own_upload(_: Target) -> str:
    with made(os.open(f"/proc/self/fd/{_own_upload()}", os.O_RDWR)):
        return "opened"


@a_try(LEAVE, "its own upload mapped for writing")
def map_own_upload(_: Target) -> str:
    return hex(raw("mmap", 0, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, _own_upload(), 0))


def _own_upload() -> int:
    """The descriptor of the upload: the first that came with the task."""
    return next(number for number in open_descriptors() if number > 2)


@a_try(LEAVE, "an upload cut short")
def cut_upload(target: Target) -> str:
    os.truncate(target.upload, Path(target.upload).stat().st_size)
    return "cut"


@a_try(LEAVE, "an upload by another name")
def rename_upload(target: Target) -> str:
    os.rename(target.upload, target.upload)
    return "renamed"


@a_try(LEAVE, "an upload under a second name")
def link_upload(target: Target) -> str:
    os.link(target.upload, f"{target.folder}/{NAME}")
    os.unlink(f"{target.folder}/{NAME}")
    return "linked"


@a_try(LEAVE, "a symbolic link")
def link_softly(target: Target) -> str:
    os.symlink("/", f"{target.folder}/{NAME}")
    os.unlink(f"{target.folder}/{NAME}")
    return "linked"


@a_try(LEAVE, "a file fewer")
def remove_file(target: Target) -> str:
    os.unlink(f"{target.folder}/not-there")
    return "removed"


@a_try(LEAVE, "a folder")
def make_folder(target: Target) -> str:
    os.mkdir(f"{target.folder}/{NAME}")
    os.rmdir(f"{target.folder}/{NAME}")
    return "made"


@a_try(LEAVE, "a named pipe")
def make_named_pipe(target: Target) -> str:
    os.mkfifo(f"{target.folder}/{NAME}")
    os.unlink(f"{target.folder}/{NAME}")
    return "made"


@a_try(LEAVE, "other rights on an upload")
def change_rights(target: Target) -> str:
    os.chmod(target.upload, 0o600)
    return "changed"


@a_try(LEAVE, "another owner of an upload")
def change_owner(target: Target) -> str:
    os.chown(target.upload, -1, -1)
    return "changed"


@a_try(LEAVE, "another age of an upload")
def change_times(target: Target) -> str:
    os.utime(target.upload)
    return "changed"


@a_try(LEAVE, "an attribute on an upload", WALL)
def set_attribute(target: Target) -> str:
    os.setxattr(target.upload, "user.weighbridge", b"x")
    return "set"


@a_try(LEAVE, "another folder to work in")
def change_folder(_: Target) -> str:
    os.chdir("/tmp")
    return "changed"


@a_try(LEAVE, "a lock on its own upload", WALL)
def lock_own_upload(_: Target) -> str:
    fcntl.flock(_own_upload(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    return "locked"
