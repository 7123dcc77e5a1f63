"""Tries at the parts of the kernel in which ways out were found: each call is refused or gets in."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from tests.service.sandbox.tries.base import SCARCE, WALL, Target, a_try, made, raw

DEEP = "the depths of the kernel"
ELSEWHERE = "another view of the system"
SHARE = "memory shared with others"
_NEW_USER, _NEW_NET, _NEW_MOUNTS = 0x10000000, 0x40000000, 0x00020000


@a_try(DEEP, "io_uring")
def io_uring(_: Target) -> str:
    with made(raw("io_uring_setup", 1, ctypes.create_string_buffer(120))):
        return "a ring"


@a_try(DEEP, "bpf")
def bpf(_: Target) -> str:
    attributes = struct.pack("=IIII", 2, 4, 4, 1) + bytes(104)
    with made(raw("bpf", 0, attributes, len(attributes))):
        return "a map"


@a_try(DEEP, "performance counters")
def perf_event_open(_: Target) -> str:
    attributes = struct.pack("=IIQ", 1, 112, 0) + bytes(24) + struct.pack("=Q", 0b1100001) + bytes(64)
    with made(raw("perf_event_open", attributes, 0, -1, -1, 0)):
        return "a counter"


@a_try(DEEP, "userfaultfd")
def userfaultfd(_: Target) -> str:
    with made(raw("userfaultfd", 1)):
        return "a descriptor"


@a_try(DEEP, "the keyring")
def keyctl(_: Target) -> str:
    return f"key {raw('keyctl', 0, -3, 0)}"


@a_try(DEEP, "a key")
def add_key(_: Target) -> str:
    key = raw("add_key", b"user", b"weighbridge", b"x", 1, -2)
    raw("keyctl", 3, key)
    return f"key {key}"


@a_try(DEEP, "another's key")
def request_key(_: Target) -> str:
    return f"key {raw('request_key', b'user', b'weighbridge', None, 0)}"


@a_try(DEEP, "secret memory")
def memfd_secret(_: Target) -> str:
    with made(raw("memfd_secret", 0)):
        return "a descriptor"


@a_try(DEEP, "a segment of its own")
def modify_ldt(_: Target) -> str:
    return str(raw("modify_ldt", 0, ctypes.create_string_buffer(16), 16))


@a_try(DEEP, "ports of the hardware")
def iopl(_: Target) -> str:
    return str(raw("iopl", 0))


@a_try(DEEP, "a watch over all files")
def fanotify(_: Target) -> str:
    with made(raw("fanotify_init", 0x200, 0)):
        return "watching"


@a_try(DEEP, "a module of the kernel")
def init_module(_: Target) -> str:
    return str(raw("init_module", b"", 0, b""))


@a_try(DEEP, "signals as a file")
def signalfd(_: Target) -> str:
    with made(raw("signalfd4", -1, bytes(8), 8, 0)):
        return "a descriptor"


@a_try(DEEP, "a clock as a file")
def timerfd(_: Target) -> str:
    with made(raw("timerfd_create", 1, 0)):
        return "a descriptor"


@a_try(ELSEWHERE, "users of its own")
def unshare_users(_: Target) -> str:
    raw("unshare", _NEW_USER)
    return "unshared"


@a_try(ELSEWHERE, "a network of its own")
def unshare_network(_: Target) -> str:
    raw("unshare", _NEW_NET)
    return "unshared"


@a_try(ELSEWHERE, "the view of another process")
def enter_namespace(target: Target) -> str:
    with made(os.pidfd_open(target.victim)) as handle:
        raw("setns", handle, _NEW_MOUNTS)
    return "entered"


@a_try(ELSEWHERE, "another file system")
def mount(target: Target) -> str:
    raw("mount", b"none", f"{target.folder}/not-there".encode(), b"tmpfs", 0, None)
    return "mounted"


@a_try(ELSEWHERE, "a file system without a place")
def fsopen(_: Target) -> str:
    with made(raw("fsopen", b"tmpfs", 0)):
        return "opened"


@a_try(ELSEWHERE, "a copy of the tree")
def open_tree(_: Target) -> str:
    with made(raw("open_tree", -100, b"/", 1)):
        return "opened"


@a_try(ELSEWHERE, "a file system fewer")
def unmount(target: Target) -> str:
    return str(raw("umount2", f"{target.folder}/not-there".encode(), 0))


@a_try(ELSEWHERE, "another root")
def change_root(_: Target) -> str:
    return str(raw("chroot", b"/"))


@a_try(ELSEWHERE, "a file by its handle", WALL)
def open_by_handle(_: Target) -> str:
    return str(raw("open_by_handle_at", -100, struct.pack("=Ii", 8, 1) + bytes(8), 0))


@a_try(ELSEWHERE, "another name of the machine")
def rename_machine(_: Target) -> str:
    return str(raw("sethostname", b"", -1))


@a_try(ELSEWHERE, "another time")
def change_time(_: Target) -> str:
    return str(raw("settimeofday", struct.pack("=qq", -1, -1), None))


@a_try(ELSEWHERE, "what the kernel has logged")
def read_log(_: Target) -> str:
    return f"{raw('syslog', 3, ctypes.create_string_buffer(16), 16)} bytes"


@a_try(SHARE, "a shared segment")
def share_memory(_: Target) -> str:
    made_id = raw("shmget", 0, 4096, 0o1600)
    raw("shmctl", made_id, 0, None)
    return "a segment"


@a_try(SHARE, "a queue of messages")
def share_queue(_: Target) -> str:
    made_id = raw("msgget", 0, 0o1600)
    raw("msgctl", made_id, 0, None)
    return "a queue"


@a_try(SHARE, "a semaphore")
def share_semaphore(_: Target) -> str:
    made_id = raw("semget", 0, 1, 0o1600)
    raw("semctl", made_id, 0, 0, 0)
    return "a semaphore"


@a_try(SHARE, "a queue of messages with a name", SCARCE | {errno.EMFILE})
def share_named_queue(_: Target) -> str:
    name = b"weighbridge-escape"
    with made(raw("mq_open", name, 0o102, 0o600, struct.pack("=8q", 0, 1, 8, 0, 0, 0, 0, 0))):
        raw("mq_unlink", name)
    return "a queue"
