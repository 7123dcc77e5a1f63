"""The life of the warm processes: replaced when they die, gone when the supervisor goes, refused without a wall."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from service import wire
from service.config import Settings
from service.errors import InvalidSpec, WorkerUnavailable
from service.formats import BuildRequest
from service.sandbox import launch, state
from service.sandbox.launch import running
from service.web.readiness import readiness
from service.worker import landlock
from tests.service.sandbox.saying import said
from tests.service.sandbox.without_call import python_without

HOSTILE = Path(__file__).parent.parent / "worker" / "hostile.py"
BUILDER = HOSTILE.with_name("lenient_builder.py")
TESTING = Settings(allow_unconfined=True)
CLIENT = """
import os, sys
from pathlib import Path
from service import wire
from service.sandbox.client import Sandbox
upload = os.open(sys.argv[2], os.O_RDONLY)
Sandbox(Path(sys.argv[1])).run("static", wire.Task(work="read", parts=("a",)), [upload])
"""


def wait_for(condition):
    """True as soon as `condition()` is; False if it never gets so."""
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def hostile(tmp_path):
    """A sandbox of its own, for tests that kill parts of it."""
    with running(TESTING, tmp_path / "run", ["static"], worker_arguments=["--test-module", str(HOSTILE)]) as sandbox:
        yield sandbox


def test_a_killed_warm_process_is_replaced_and_its_task_runs_again(hostile, ask):
    """The client of a task in flight gets its answer from the next life; its old child is gone."""
    before = hostile.states()["static"].pid
    answers = []
    thread = threading.Thread(target=lambda: answers.append(said(ask(hostile, "sleep 1"))))
    thread.start()
    assert wait_for(lambda: len(children_of(before)) > 2)  # two spares and the task's
    old_children = children_of(before)
    os.kill(before, signal.SIGKILL)
    thread.join()
    assert answers == [("slept",)]
    known = hostile.states()["static"]
    assert known.pid != before
    assert known.restarts == 1
    assert not any(alive(pid) for pid in old_children)


def children_of(pid: int) -> list[int]:
    """Process ids of the children of `pid`."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_client_that_comes_while_nobody_is_warm_waits(hostile, ask):
    """The listening socket outlives the warm process: nothing is refused between two lives."""
    os.kill(hostile.states()["static"].pid, signal.SIGKILL)
    assert said(ask(hostile, "say hello")) == ("hello",)


def test_a_warm_process_that_dies_twice_under_one_task_is_given_up(hostile, ask):
    """The task is not run for ever; the error is ours and passing."""
    killed = set()
    stop = threading.Event()

    def kill_whatever_works():
        while not stop.is_set():
            known = hostile.states()["static"]
            if known.warm and known.pid not in killed and len(children_of(known.pid)) > 2:
                killed.add(known.pid)
                os.kill(known.pid, signal.SIGKILL)
            time.sleep(0.01)

    killer = threading.Thread(target=kill_whatever_works)
    killer.start()
    with pytest.raises(WorkerUnavailable):
        ask(hostile, "sleep 20")
    stop.set()
    killer.join()
    assert len(killed) == 2


def test_the_child_of_a_client_that_vanishes_is_killed(hostile, tmp_path):
    """A client killed in the midst of a task leaves no child behind."""
    (tmp_path / "upload").write_text("sleep 60")
    warm = hostile.states()["static"].pid
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(tmp_path / "run"), str(tmp_path / "upload")])
    assert wait_for(lambda: len(children_of(warm)) > 2)
    client.kill()
    client.wait()
    assert wait_for(lambda: len(children_of(warm)) == 2)


def test_an_idle_spare_that_dies_is_replaced(hostile, ask):
    """Whatever kills a waiting child, the next task does not notice."""
    warm = hostile.states()["static"].pid
    assert wait_for(lambda: len(children_of(warm)) == 2)
    spares = children_of(warm)
    for pid in spares:
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: len(set(children_of(warm)) - set(spares)) == 2)
    assert said(ask(hostile, "say hello")) == ("hello",)


def test_everything_ends_with_the_supervisor(tmp_path):
    """Killed without warning, it takes warm processes and children along, and its word is not believed any more."""
    folder = tmp_path / "run"
    process = launch.start(Settings(), folder, ["static"])
    launch.wait_until_warm(process, Settings(), folder)
    warm = state.read(folder)["static"].pid
    family = [warm, *children_of(warm)]
    process.kill()
    process.wait()
    assert wait_for(lambda: not any(alive(pid) for pid in family))
    assert state.read(folder) == {}


def test_the_supervisor_ends_with_its_parent(tmp_path):
    """However the parent ends."""
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    process = launch.start(Settings(), tmp_path / "run", ["static"], parent=parent.pid)
    launch.wait_until_warm(process, Settings(), tmp_path / "run")
    parent.kill()
    parent.wait()
    assert process.wait(20) == 0
    assert not list((tmp_path / "run").glob("*.sock"))


def test_a_second_supervisor_of_the_same_folder_just_ends(hostile, ask, tmp_path):
    """So that whoever misses one may start one."""
    assert launch.start(TESTING, tmp_path / "run", ["static"]).wait(20) == 0
    assert said(ask(hostile, "say hello")) == ("hello",)


def test_a_folder_open_to_others_is_refused(tmp_path, capfd):
    """Whoever could write there could pose as a worker."""
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    assert launch.start(Settings(), folder, ["static"]).wait(20) == 3
    assert "0700" in capfd.readouterr().err


def test_an_interpreter_that_is_not_there_is_refused(tmp_path, capfd):
    """A wrong setting is named."""
    settings = Settings(keras_python="/nowhere/python")
    assert launch.start(settings, tmp_path / "run", ["keras"]).wait(20) == 3
    assert "WEIGHBRIDGE_KERAS_PYTHON" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("call", "layers"), [("landlock_create_ruleset", "landlock"), ("seccomp", "refusals, seccomp")]
)
def test_a_missing_layer_is_refused_in_one_sentence(tmp_path, capfd, call, layers):
    """Without permission to go on unconfined the warm process does not serve, and the supervisor says why."""
    strict = Settings(static_python=str(python_without(tmp_path, call)))
    process = launch.start(strict, tmp_path / "run", ["static"])
    with pytest.raises(WorkerUnavailable):
        launch.wait_until_warm(process, strict, tmp_path / "run")
    assert process.wait(20) == 3
    said = capfd.readouterr().err
    assert f"layers missing: {layers};" in said
    assert "WEIGHBRIDGE_ALLOW_UNCONFINED=1" in said


@pytest.mark.parametrize(
    ("call", "missing"), [("landlock_create_ruleset", {"landlock"}), ("seccomp", {"refusals", "seccomp"})]
)
def test_a_missing_layer_that_is_allowed_is_reported(tmp_path, ask, call, missing):
    """The service runs, and says of every report and at its readiness what is not there."""
    allowed = Settings(allow_unconfined=True, static_python=str(python_without(tmp_path, call)))
    with running(allowed, tmp_path / "run", ["static"], worker_arguments=["--test-module", str(HOSTILE)]) as sandbox:
        assert said(ask(sandbox, "say hello")) == ("hello",)
        found = sandbox.confinement("static")
        ready, workers = readiness(allowed, sandbox)
        strict = readiness(Settings(), sandbox)[0]
    assert not found.confined
    assert {layer for layer, stands in found.layers.items() if not stands} == missing
    assert (ready, strict) == (True, False)
    assert workers["static"]["layers"] == found.layers
    assert workers["static"]["landlock_abi"] == (0 if missing == {"landlock"} else landlock.abi())


def test_hooks_for_tests_cannot_be_reached_by_the_service(tmp_path):
    """A strict supervisor drops them; a strict warm process refuses them."""
    with running(Settings(), tmp_path / "run", ["static"], worker_arguments=["--without", "seccomp"]) as sandbox:
        assert sandbox.confinement("static").confined
    command = [sys.executable, "-I", "-m", "service.worker", "--kind", "static", "--parent", str(os.getpid())]
    command += ["--listener", "0", "--control", "0", "--test-module", str(HOSTILE)]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--allow-unconfined" in refused.stderr


def build(sandbox, tmp_path, spec):
    """Build `spec` in the keras kind."""
    path = tmp_path / "request"
    path.write_bytes(wire.encode(BuildRequest(kind="keras", dialect="layer_list", spec=spec)))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return sandbox.run("keras", wire.Task(work="build"), [descriptor])
    finally:
        os.close(descriptor)


def test_a_framework_kind_starts_on_first_need(tmp_path):
    """A client that waits at the socket is the need; its task is answered once the kind is warm."""
    settings = Settings(allow_unconfined=True, keras_python=sys.executable, warm_frameworks=False)
    with running(settings, tmp_path / "run", ["keras"], worker_arguments=["--test-module", str(BUILDER)]) as sandbox:
        before = sandbox.states()["keras"]
        outcome = build(sandbox, tmp_path, {"layers": []})
        after = sandbox.states()["keras"]
    assert (before.installed, before.warm, before.pid) == (True, False, None)
    assert said(outcome) == ("layer_list",)
    assert outcome.answer.framework_version == "0.0"
    assert after.warm


def test_a_builder_s_complaint_names_the_field(tmp_path):
    """An error of the spec crosses the wall with its pointer."""
    settings = Settings(allow_unconfined=True, keras_python=sys.executable)
    with (
        running(settings, tmp_path / "run", ["keras"], worker_arguments=["--test-module", str(BUILDER)]) as sandbox,
        pytest.raises(InvalidSpec) as caught,
    ):
        build(sandbox, tmp_path, {})
    assert caught.value.info.pointer == "layers"


def test_a_kind_that_cannot_start_says_so(tmp_path):
    """A client does not wait for what never comes."""
    settings = Settings(allow_unconfined=True, keras_python=sys.executable, warm_frameworks=False)
    arguments = ["--test-module", str(tmp_path / "absent.py")]
    with (
        running(settings, tmp_path / "run", ["keras"], worker_arguments=arguments) as sandbox,
        pytest.raises(WorkerUnavailable, match="ended with status 1"),
    ):
        build(sandbox, tmp_path, {})
