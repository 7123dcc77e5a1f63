"""The self-test must be able to fail: outside the wall its probes get through."""

from __future__ import annotations

import errno

from service.worker import selftest


def test_outside_the_wall_probes_get_through():
    """Sockets, files, processes, threads: nothing stops them here, and nothing stays behind."""
    free = selftest.run(
        ("socket", "local_socket", "fork", "write", "make_folder", "read_passwd", "list_root", "memory_file",
         "signal_parent", "use_inherited", "share_memory", "look_at_file", "thread", "run_data")
    )  # fmt: skip
    assert set(free.values()) == {False}


def test_only_a_wall_s_errors_count(monkeypatch):
    """An attempt that fails because a file is missing has not been stopped."""

    def fail(number):
        def probe():
            raise OSError(number, "x")

        return probe

    monkeypatch.setattr(selftest, "PROBES", {"missing": fail(errno.ENOENT), "denied": fail(errno.EACCES)})
    assert selftest.run(("missing", "denied")) == {"missing": False, "denied": True}


def test_all_but_the_deadly_one_run():
    """Starting a program needs a child of its own; some things only a sealed child cannot do."""
    everywhere, sealed = set(selftest.SURVIVED), set(selftest.ONLY_SEALED)
    assert everywhere | sealed == set(selftest.PROBES) - {selftest.DEADLY}
    assert not everywhere & sealed
