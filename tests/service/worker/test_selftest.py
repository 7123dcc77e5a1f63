"""The self-test must be able to fail: outside the wall its probes get through."""

from __future__ import annotations

import errno

from service.worker import selftest


def test_outside_the_wall_probes_get_through():
    """Sockets, files, processes: nothing stops them here, and nothing stays behind."""
    free = selftest.run(
        ("socket", "local_socket", "fork", "write", "make_folder", "read_passwd", "list_root", "memory_file")
    )
    assert set(free.values()) == {False}


def test_only_a_wall_s_errors_count(monkeypatch):
    """An attempt that fails because a file is missing has not been stopped."""

    def fail(number):
        def probe():
            raise OSError(number, "x")

        return probe

    monkeypatch.setattr(selftest, "PROBES", {"missing": fail(errno.ENOENT), "denied": fail(errno.EACCES)})
    assert selftest.run(("missing", "denied")) == {"missing": False, "denied": True}


def test_all_but_the_deadly_one_run_by_default():
    """Starting a program needs a child of its own."""
    assert set(selftest.SURVIVED) == set(selftest.PROBES) - {selftest.DEADLY}
