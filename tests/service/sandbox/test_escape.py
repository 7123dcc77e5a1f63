"""What code that has taken over a child can reach, tried from inside: with every layer on, and with each left out.

`tries/` holds the tries. `python -m tests.torture.escapes` does them all behind every part of the wall, as a table.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service import wire
from service.worker import confine, selftest
from tests.service.sandbox import trying
from tests.service.sandbox.saying import said
from tests.service.sandbox.tries import reader  # noqa: F401 - it registers the tries
from tests.service.sandbox.tries.base import BUILDERS_MAY, TRIES
from tests.service.sandbox.tries.exhaustion import EXHAUST
from tests.service.sandbox.tries.lasting import LAST

ROOT = os.geteuid() == 0
CALM = tuple(name for name, one in TRIES.items() if not one.deadly)
DEADLY = tuple(name for name, one in TRIES.items() if one.deadly)
HUNGRY = tuple(name for name in DEADLY if TRIES[name].group == EXHAUST)

THROUGH_WITHOUT = {
    "limits": {"fill_heap", "fill_mapping", "fill_shared_mapping", "reserve_addresses"},
    "seccomp": {"look_at_upload", "ask_for_access", "follow_own_link"},
}
"""What only one layer stops: a child that eats memory would next meet the kernel's killer and its deadline; names alone
tell nothing of contents."""
STARTS = {"fork", "clone_process", "clone3_process", "clone_namespace", "spawn", "start_thread", "use_up_processes",
          "use_up_threads"}  # fmt: skip
"""What the kernel's limit of processes stops, too, but for root."""


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """What there is to reach."""
    folder = tmp_path_factory.mktemp("around") / "data"
    folder.mkdir()
    with trying.surroundings(folder) as target:
        yield target


def through(sandbox, target, kind="static", deadly=DEADLY):
    """The tries that were not stopped: the calm ones all in one child, the deadly in one each."""
    found = trying.outcomes(sandbox, CALM, target, kind)
    for name in deadly:
        found |= trying.outcomes(sandbox, [name], target, kind, trying.impatient(name))
    assert set(found) == {*CALM, *deadly}
    return {name for name, how in found.items() if not how.startswith("stopped")}


def test_every_try_fails(around, tmp_path):
    """At files, the network, processes, the kernel, what all share, the answer's reader and the deadline."""
    secret = Path(around["upload"]).read_bytes()
    with trying.wall(tmp_path / "run") as sandbox:
        assert through(sandbox, around) == set()
        assert sandbox.confinement("static").confined
    assert sorted(path.name for path in Path(around["folder"]).iterdir()) == ["jobs.sqlite", "s", "upload"]
    assert Path(around["upload"]).read_bytes() == secret
    os.kill(around["victim"], 0)


@pytest.mark.parametrize("layer", confine.LAYERS)
def test_other_layers_cover_for_each(around, tmp_path, layer):
    """What gets through without it is known, and little."""
    expected = THROUGH_WITHOUT.get(layer, set()) | (STARTS if ROOT and layer == "seccomp" else set())
    deadly = HUNGRY if layer in THROUGH_WITHOUT else ()
    with trying.wall(tmp_path / "run", without=[layer]) as sandbox:
        assert through(sandbox, around, deadly=deadly) == expected
        assert not sandbox.confinement("static").layers[layer]


def test_builders_may_do_a_little_more(around, tmp_path):
    """They get architectures as data, never an upload."""
    lasting = {name for name in DEADLY if TRIES[name].group == LAST}
    with trying.wall(tmp_path / "run", "keras") as sandbox:
        assert through(sandbox, around, "keras", deadly=sorted({*DEADLY} - lasting)) == BUILDERS_MAY


def test_values_are_read_behind_the_same_wall(around, tmp_path):
    """Sealed like the kind that reads structure."""
    with trying.wall(tmp_path / "run", "values") as sandbox:
        assert through(sandbox, around, "values", deadly=()) == set()


def test_the_selftest_is_stopped_at_every_point(sandbox):
    """Every probe in a child like every other, and every layer stands."""
    outcome = sandbox.run("static", wire.Task(work="selftest"), [])
    assert outcome.answer.probes == dict.fromkeys(selftest.SURVIVED, True)
    known = sandbox.states()["static"]
    assert known.warm
    assert known.probes == dict.fromkeys(selftest.PROBES, True)
    assert set(known.layers.values()) == {True}
    assert sandbox.confinement("static").confined


def test_a_child_has_its_files_and_the_pipe_and_nothing_else(sandbox, ask):
    """The pipe for the answer, twice nothing, the upload: no socket, no folder, nothing of the parent's."""
    assert said(ask(sandbox, "descriptors")) == ("stream write", "file both", "file both", "file read")


def test_the_environment_holds_no_secret(sandbox, ask):
    """The warm process starts with an empty environment; what libraries need is set by itself."""
    started_with = Path(f"/proc/{sandbox.states()['static'].pid}/environ").read_bytes()
    assert started_with == b""
    names = {note.split("=")[0] for note in said(ask(sandbox, "environment"))}
    assert not names & set(os.environ) - {"LC_CTYPE", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL"}


def test_the_warm_process_has_one_thread(sandbox):
    """A process with threads forks children that hang."""
    assert len(list(Path(f"/proc/{sandbox.states()['static'].pid}/task").iterdir())) == 1
