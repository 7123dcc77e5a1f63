"""System calls by name."""

from __future__ import annotations

import errno
import os

import pytest

from service.worker import syscalls


def test_an_unknown_machine_is_refused():
    """A filter with wrong numbers would be worse than none."""
    with pytest.raises(OSError, match="riscv64"):
        syscalls.machine("riscv64")


def test_numbers_fit_this_machine():
    """Calls that tell who asks."""
    assert syscalls.call("getpid") == os.getpid()
    assert syscalls.call("getppid") == os.getppid()
    assert syscalls.call("geteuid") == os.geteuid()


def test_a_refusal_is_an_error_with_its_number():
    """As Python's own calls do it."""
    with pytest.raises(OSError, match="close") as caught:
        syscalls.call("close", 10**6)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError, match="prctl"):
        syscalls.prctl(10**6, 0)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_no_number_is_given_twice(machine):
    """In either table."""
    numbers = syscalls.machine(machine).numbers
    assert len(set(numbers.values())) == len(numbers)
