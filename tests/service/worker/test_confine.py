"""The plan of the layers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.worker import confine
from service.worker.confine import Budget, LayerFailed, Plan


def test_only_the_interpreter_s_own_folders_are_readable():
    """The package and the libraries; not the checkout that the package may lie in, nor anybody's home."""
    found = confine.readable_folders("static")
    assert Path(confine.__file__).parent.parent in found
    assert Path(os.__file__).parent in found
    for closed in ("/", "/etc", "/proc", "/tmp", "/home", "/root", str(Path(__file__).parents[3])):
        assert Path(closed) not in found


def test_tensorflow_gets_randomness_and_its_own_process():
    """The other kinds do not."""
    extra = set(confine.readable_folders("keras")) - set(confine.readable_folders("torch"))
    assert extra == {Path("/dev/urandom"), Path("/proc/self")}


def test_a_layer_that_fails_is_named_by_the_exit_status():
    """The warm process learns from it which layer is missing here."""
    assert LayerFailed("landlock").status == 100 + confine.LAYERS.index("landlock")


def test_a_child_whose_filter_cannot_be_put_on_does_not_go_on():
    """Without no_new_privs the kernel refuses a filter to an unprivileged process; here the program is empty."""
    plan = Plan(parent=os.getppid(), layers=frozenset({"seccomp"}), readable=())
    with pytest.raises(LayerFailed):
        confine.close(plan, Budget(memory_bytes=1, seconds=1, files=1), confine.Stance(0, b""))


def test_no_layer_is_put_on_unplanned():
    """Tests leave layers out one by one; an empty plan changes nothing in this process."""
    confine.close(
        Plan(parent=os.getppid(), layers=frozenset(), readable=()),
        Budget(memory_bytes=1, seconds=1, files=1),
        confine.Stance(0, b""),
    )
    assert os.getpid() in {int(name.name) for name in Path("/proc").iterdir() if name.name.isdigit()}
