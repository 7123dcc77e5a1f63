"""Tries to start, signal, trace or change processes, and to take off what a child has put on."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import signal
import struct
import threading

from service.worker.syscalls import prctl
from tests.service.sandbox.tries.base import RAN, SCARCE, Target, a_try, answer_pipe, made, raw

START, REACH, UNDO = "start something", "reach another process", "take the wall off"
_PROGRAM = ["sh", "-c", f"exit {RAN}"]
_SIGCHLD = int(signal.SIGCHLD)
_NEW_USER, _NEW_NET, _NEW_PID = 0x10000000, 0x40000000, 0x20000000
_SEIZE = 0x4206
_GET_DUMPABLE, _SET_DUMPABLE, _SET_PDEATHSIG = 3, 4, 1
_FILTER_LISTENER = 1 << 3


def _born(pid: int) -> str:
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "a process"


@a_try(START, "a process, by fork", SCARCE)
def fork(_: Target) -> str:
    return _born(os.fork())


@a_try(START, "a process, by the system call clone", SCARCE)
def clone_process(_: Target) -> str:
    return _born(raw("clone", _SIGCHLD, 0, 0, 0, 0))


@a_try(START, "a process, by clone3", SCARCE)
def clone3_process(_: Target) -> str:
    arguments = struct.pack("=8Q", 0, 0, 0, 0, _SIGCHLD, 0, 0, 0)
    return _born(raw("clone3", ctypes.create_string_buffer(arguments, 64), 64))


@a_try(START, "a process in namespaces of its own", SCARCE)
def clone_namespace(_: Target) -> str:
    return _born(raw("clone", _NEW_USER | _SIGCHLD, 0, 0, 0, 0))


@a_try(START, "a program in a process of its own (posix_spawn)", SCARCE)
def spawn(_: Target) -> str:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return "a program"


@a_try(START, "a program in its own place", deadly=True)
def execute(_: Target) -> str:
    os.execv("/bin/sh", _PROGRAM)  # noqa: S606 - that it is impossible is the point


@a_try(START, "a program from a descriptor (execveat)", deadly=True)
def execute_at(_: Target) -> str:
    arguments = (ctypes.c_char_p * (len(_PROGRAM) + 1))(*map(str.encode, _PROGRAM), None)
    return str(raw("execveat", -100, b"/bin/sh", ctypes.addressof(arguments), 0, 0))


@a_try(START, "a thread", SCARCE)
def start_thread(_: Target) -> str:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    return "a thread"


@a_try(START, "bytes of its own as a program's code")
def run_data(_: Target) -> str:
    mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_EXEC).close()
    return "executable memory"


@a_try(REACH, "the victim's end (kill)")
def kill_process(target: Target) -> str:
    os.kill(target.victim, signal.SIGCONT)
    return "signalled"


@a_try(REACH, "the victim's end (tgkill)")
def kill_thread(target: Target) -> str:
    raw("tgkill", target.victim, target.victim, int(signal.SIGCONT))
    return "signalled"


@a_try(REACH, "the victim's end (tkill)")
def kill_task(target: Target) -> str:
    raw("tkill", target.victim, int(signal.SIGCONT))
    return "signalled"


@a_try(REACH, "the victim's end, by a handle (pidfd_send_signal)")
def kill_by_handle(target: Target) -> str:
    with made(os.pidfd_open(target.victim)) as handle:
        signal.pidfd_send_signal(handle, signal.SIGCONT)
    return "signalled"


@a_try(REACH, "a signal with a message for the victim")
def queue_signal(target: Target) -> str:
    raw("rt_sigqueueinfo", target.victim, int(signal.SIGCONT), struct.pack("=iii", 0, 0, -1) + bytes(116))
    return "signalled"


@a_try(REACH, "an end of its own that looks like another's doing", deadly=True)
def kill_itself(_: Target) -> str:
    raw("tgkill", os.getpid(), os.getpid(), int(signal.SIGKILL))
    return "alive"


@a_try(REACH, "the end of the warm process")
def kill_parent(_: Target) -> str:
    os.kill(os.getppid(), 0)
    return "signalled"


@a_try(REACH, "the end of its whole group, the warm process in it")
def kill_group(_: Target) -> str:
    if os.getpgid(0) != os.getpgid(os.getppid()):
        raise PermissionError(errno.EPERM, "alone in its group")
    os.kill(os.getppid(), 0)
    return "signalled"


@a_try(REACH, "a signal that the kernel sends in its name (F_SETOWN)")
def signal_by_owner(target: Target) -> str:
    fcntl.fcntl(answer_pipe(), fcntl.F_SETOWN, target.victim)
    return "set"


@a_try(REACH, "control of the victim (ptrace)", deadly=True)
def trace(target: Target) -> str:
    raw("ptrace", _SEIZE, target.victim, 0, 0)
    return "traced"


def _vectors(target: Target) -> tuple[ctypes.Array[ctypes.c_char], bytes, bytes]:
    buffer = ctypes.create_string_buffer(len(target.secret))
    here = struct.pack("=QQ", ctypes.addressof(buffer), len(target.secret))
    return buffer, here, struct.pack("=QQ", target.address, len(target.secret))


@a_try(REACH, "the victim's memory")
def copy_memory(target: Target) -> str:
    buffer, here, there = _vectors(target)
    raw("process_vm_readv", target.victim, here, 1, there, 1, 0)
    return buffer.value.decode()


@a_try(REACH, "other bytes in the victim's memory")
def change_memory(target: Target) -> str:
    buffer, here, there = _vectors(target)
    buffer.value = target.secret.encode()[:-1]
    return f"{raw('process_vm_writev', target.victim, here, 1, there, 1, 0)} bytes"


@a_try(REACH, "the victim's memory pushed out")
def push_memory_out(target: Target) -> str:
    with made(os.pidfd_open(target.victim)) as handle:
        raw("process_madvise", handle, struct.pack("=QQ", target.address & ~4095, 4096), 1, 20, 0)
    return "pushed"


@a_try(REACH, "where the victim's memory lies")
def move_memory(target: Target) -> str:
    raw("move_pages", target.victim, 0, None, None, None, 0)
    return "asked"


@a_try(REACH, "a descriptor of the victim")
def take_descriptor(target: Target) -> str:
    with made(os.pidfd_open(target.victim)) as handle, made(raw("pidfd_getfd", handle, target.held, 0)) as taken:
        return f"{len(os.read(taken, 1 << 16))} bytes"


@a_try(REACH, "whether it shares something with the victim")
def compare_processes(target: Target) -> str:
    return str(raw("kcmp", os.getpid(), target.victim, 1, 0, 0))


@a_try(REACH, "a lower priority for the victim")
def change_priority(target: Target) -> str:
    os.setpriority(os.PRIO_PROCESS, target.victim, os.getpriority(os.PRIO_PROCESS, target.victim))
    return "changed"


@a_try(REACH, "another schedule for the victim")
def change_schedule(target: Target) -> str:
    os.sched_setscheduler(target.victim, os.SCHED_OTHER, os.sched_param(0))
    return "changed"


@a_try(REACH, "fewer processors for the victim")
def change_processors(target: Target) -> str:
    raw("sched_setaffinity", target.victim, 8, struct.pack("=Q", 2**64 - 1))
    return "changed"


@a_try(REACH, "other limits for the victim")
def change_limits(target: Target) -> str:
    had = resource.prlimit(target.victim, resource.RLIMIT_CORE)
    resource.prlimit(target.victim, resource.RLIMIT_CORE, had)
    return "changed"


@a_try(REACH, "the limits of the victim, to read")
def read_limits(target: Target) -> str:
    return str(resource.prlimit(target.victim, resource.RLIMIT_NOFILE))


@a_try(REACH, "another group of processes")
def change_group(_: Target) -> str:
    raw("setpgid", 0, os.getpgid(os.getppid()))
    return "changed"


@a_try(UNDO, "a higher limit of memory")
def raise_limit(_: Target) -> str:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "raised"


@a_try(UNDO, "to be readable by others again")
def become_dumpable(_: Target) -> str:
    prctl(_SET_DUMPABLE, 1)
    return "dumpable"


@a_try(UNDO, "to outlive the warm process")
def outlive_parent(_: Target) -> str:
    prctl(_SET_PDEATHSIG, 0)
    return "free"


@a_try(UNDO, "to be another user")
def become_root(_: Target) -> str:
    raw("setuid", 0)
    return "root"


@a_try(UNDO, "the capabilities of the user")
def regain_capabilities(_: Target) -> str:
    header = struct.pack("=Ii", 0x20080522, 0)
    raw("capset", header, struct.pack("=6I", 1 << 21, 1 << 21, 0, 0, 0, 0))
    return "administrator"


@a_try(UNDO, "to be the last that is killed for want of memory")
def protect_from_killer(_: Target) -> str:
    with made(os.open("/proc/self/oom_score_adj", os.O_WRONLY)) as descriptor:
        return f"{os.write(descriptor, b'0')} byte"


@a_try(UNDO, "a filter that answers its own calls")
def add_filter(_: Target) -> str:
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000), 8)
    header = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", 1, ctypes.addressof(code)))
    with made(raw("seccomp", 1, _FILTER_LISTENER, header)):
        return "a listener"


@a_try(UNDO, "a Landlock domain of its own making")
def add_domain(_: Target) -> str:
    with made(raw("landlock_create_ruleset", struct.pack("=Q", 1), 8, 0)):
        return "made"


@a_try(UNDO, "another personality")
def change_personality(_: Target) -> str:
    return hex(raw("personality", 0xFFFFFFFF))


@a_try(UNDO, "calls by another machine's numbers (int 0x80)", deadly=True)
def call_as_32_bit(_: Target) -> str:
    if INT80 is None:
        raise OSError(38, "not on this machine")
    return f"process {INT80()}"


@a_try(UNDO, "calls by the numbers of x32", deadly=True)
def call_as_x32(_: Target) -> str:
    return f"process {raw(0x40000000 | 39)}"


def _int80() -> object:
    """Code that asks for its process id by `int 0x80`; made before the wall, as a gadget in a library would be."""
    if platform.machine() != "x86_64":
        return None
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20; int 0x80; ret
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    function.memory = memory
    return function


INT80 = _int80()
