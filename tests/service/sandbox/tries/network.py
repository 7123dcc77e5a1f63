"""Tries to talk to anybody: over the network, on this machine, or through what a child might have inherited."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat

from tests.service.sandbox.tries.base import Target, a_try, answer_pipe, is_stream, open_descriptors, raw

TALK = "talk to others"
_LOOPBACK = "127.0.0.1"


def _connected(family: int, kind: int, address: object, what: bytes = b"x") -> str:
    with socket.socket(family, kind) as it:
        it.connect(address)  # type: ignore[arg-type]
        return f"{it.send(what)} byte sent"


@a_try(TALK, "a TCP connection")
def connect_tcp(target: Target) -> str:
    return _connected(socket.AF_INET, socket.SOCK_STREAM, (_LOOPBACK, target.tcp))


@a_try(TALK, "a TCP socket of the sixth version")
def make_tcp6(_: Target) -> str:
    socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    return "made"


@a_try(TALK, "a TCP port to listen on")
def listen_tcp(_: Target) -> str:
    with socket.socket() as it:
        it.bind((_LOOPBACK, 0))
        it.listen()
        return f"port {it.getsockname()[1]}"


@a_try(TALK, "a datagram")
def send_udp(target: Target) -> str:
    return _connected(socket.AF_INET, socket.SOCK_DGRAM, (_LOOPBACK, target.udp))


@a_try(TALK, "a raw socket")
def make_raw(_: Target) -> str:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return "made"


@a_try(TALK, "a packet socket")
def make_packet(_: Target) -> str:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    return "made"


@a_try(TALK, "a netlink socket")
def make_netlink(_: Target) -> str:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    return "made"


@a_try(TALK, "a socket to the machine below")
def make_vsock(_: Target) -> str:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "made"


@a_try(TALK, "a cipher of the kernel's")
def make_cipher(_: Target) -> str:
    socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).close()
    return "made"


@a_try(TALK, "a local socket with a path")
def connect_unix(target: Target) -> str:
    return _connected(socket.AF_UNIX, socket.SOCK_STREAM, target.unix)


@a_try(TALK, "a local socket with an abstract name")
def connect_abstract(target: Target) -> str:
    return _connected(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{target.abstract}")


@a_try(TALK, "a pair of sockets")
def make_pair(_: Target) -> str:
    for it in socket.socketpair():
        it.close()
    return "made"


@a_try(TALK, "a pipe")
def make_pipe(_: Target) -> str:
    for number in os.pipe():
        os.close(number)
    return "made"


def _inherited() -> list[int]:
    """Descriptors that lead somewhere, beside the pipe for the answer; PermissionError if there are none."""
    found = [number for number in open_descriptors() if is_stream(number) and number != answer_pipe()]
    if not found:
        raise PermissionError(errno.EPERM, "nothing was inherited")
    return found


@a_try(TALK, "a connection of another client, inherited from the warm process")
def use_inherited_socket(_: Target) -> str:
    for number in _inherited():
        try:
            return f"{os.write(number, b'x')} byte sent"
        except OSError as error:
            if error.errno == errno.EPERM:
                raise
    return "tried"


@a_try(TALK, "a client's call, accepted in the warm process's place")
def accept_inherited(_: Target) -> str:
    for number in _inherited():
        try:
            os.close(raw("accept4", number, 0, 0, os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.EPERM:
                raise
    return "tried"


@a_try(TALK, "the reading end of its own answer")
def read_own_answer(_: Target) -> str:
    with open(f"/proc/self/fd/{answer_pipe()}", "rb", buffering=0) as pipe:  # noqa: PTH123 - no file, a descriptor
        return "opened" if stat.S_ISFIFO(os.fstat(pipe.fileno()).st_mode) else "another"


@a_try(TALK, "to wait for events")
def wait_for_events(_: Target) -> str:
    select.epoll().close()
    return "made"


@a_try(TALK, "a counter to signal by")
def make_counter(_: Target) -> str:
    os.close(raw("eventfd2", 0, 0))
    return "made"
