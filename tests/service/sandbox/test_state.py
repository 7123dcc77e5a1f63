"""What the supervisor publishes, and when it is believed."""

from __future__ import annotations

import socket

import pytest

from service.sandbox import state
from service.sandbox.state import KindState


def test_a_living_supervisor_is_believed(tmp_path):
    """What was published last is what is read, as long as the lock is held."""
    with state.held(tmp_path) as alone:
        assert alone
        state.publish(tmp_path, {"static": KindState(installed=True)})
        state.publish(tmp_path, {"static": KindState(installed=True, warm=True, pid=5)})
        assert state.read(tmp_path) == {"static": KindState(installed=True, warm=True, pid=5)}


def test_a_dead_one_is_not(tmp_path):
    """A state without a lock is a leftover."""
    with state.held(tmp_path):
        state.publish(tmp_path, {"static": KindState(warm=True)})
    assert state.read(tmp_path) == {}


def test_nothing_is_published_at_first(tmp_path):
    """Neither without a folder's lock nor before the first word."""
    assert state.read(tmp_path) == {}
    with state.held(tmp_path):
        assert state.read(tmp_path) == {}


def test_what_cannot_be_understood_is_nothing(tmp_path):
    """Somebody else wrote there, or no descriptor is left: as if the supervisor had just started."""
    with state.held(tmp_path):
        (tmp_path / "state.json").write_text('{"x')
        assert state.read(tmp_path) == {}
        (tmp_path / "state.json").unlink()
        (tmp_path / "state.json").mkdir()
        assert state.read(tmp_path) == {}


def test_there_is_only_one(tmp_path):
    """The second is told so."""
    with state.held(tmp_path), state.held(tmp_path) as second:
        assert not second


def test_the_folder_is_made_for_us_alone(tmp_path):
    """And refused if it is open to others."""
    folder = tmp_path / "a" / "b"
    state.make_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o750)
    with pytest.raises(PermissionError, match="0700"):
        state.make_folder(folder)


def test_a_deep_folder_has_usable_addresses(tmp_path):
    """A path longer than a Unix address can hold does not matter."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        with state.socket_address(folder, "static") as address:
            listener.bind(address)
        assert state.socket_file(folder, "static").exists()
    state.clear(folder)
    assert not state.socket_file(folder, "static").exists()


def test_confined_means_every_layer_and_every_probe():
    """Unknown is not confined."""
    assert not KindState().confined
    assert KindState(layers={"a": True}, probes={"b": True}).confined
    assert not KindState(layers={"a": False}, probes={"b": True}).confined
    assert not KindState(layers={"a": True}, probes={"b": False}).confined
