"""Folders of training runs: one model with its states, not as many models as files."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import pytest

from service.language import english, msg
from service.tree import Danger, Layer, Model, ModelInfo, State
from service.worker.gathering import Held, gather
from tests.service.parsers.pickles import call, text
from tests.service.parsers.test_archives import packed_zip
from tests.service.readers.hf_uploads import entry, safetensors
from tests.service.worker.test_searching import model

INFO = ModelInfo(format="f", framework="torch")
NET = Model(info=INFO, layers=(Layer(path="a", name="a", kind="linear"),))
SLOTS = Model(info=INFO, layers=(), states=(State(name="optimizer", group="optimizer"),))
NOTHING = Model(info=INFO, layers=())
DANGEROUS = Model(info=INFO, layers=(), security=(Danger(severity="high", code="x", what=msg("It calls.")),))


def paths(*held: tuple[str, str, Model]) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """Every model's path with the names of its states, and the paths of what is empty."""
    models, empty = gather([Held(*one) for one in held])
    return [(one.path, [state.name for state in one.model.states]) for one in models], empty


@pytest.mark.parametrize(("held", "models", "empty"), [
    ([("r/m", "r", NET), ("r/o.pt", "r", SLOTS)], [("r/m", ["o.pt/optimizer"])], []),
    ([("m", "", NET), ("args.bin", "", NOTHING)], [("m", [])], ["args.bin"]),
    ([("m", "", NET), ("n", "", NET), ("o", "", SLOTS)], [("m", []), ("n", []), ("o", ["optimizer"])], []),
    ([("m", "", NET), ("r/o", "r", SLOTS)], [("m", []), ("r/o", ["optimizer"])], []),
    ([("1/m", "1", NET), ("1/o", "1", SLOTS), ("2/m", "2", NET)], [("1/m", ["o/optimizer"]), ("2/m", [])], []),
    ([("o", "", SLOTS), ("args", "", NOTHING)], [("o", ["optimizer"]), ("args", [])], []),
])  # fmt: skip
def test_states_belong_to_the_model_that_is_alone_in_their_folder(held, models, empty) -> None:  # type: ignore[no-untyped-def]
    """Where there are two, or none, nobody knows whose they are; where nothing has layers, all is told as it is."""
    assert paths(*held) == (models, empty)


def test_a_danger_is_never_left_out() -> None:
    """A file without anything but a danger is told with the model beside it, and by itself elsewhere."""
    beside = gather([Held("m", "", NET), Held("args", "", DANGEROUS)])
    assert ([one.model.security for one in beside.models], beside.empty) == ([DANGEROUS.security], [])
    elsewhere = gather([Held("m", "", NET), Held("x/args", "x", DANGEROUS)])
    assert [one.path for one in elsewhere.models] == ["m", "x/args"]


def run(*more: tuple[str, bytes]) -> dict[str, bytes]:
    """A run of a trainer, packed: weights with their configuration, and other files."""
    files = {
        "run/config.json": json.dumps({"model_type": "bert", "hidden_size": 2}).encode(),
        "run/model.safetensors": safetensors({"embeddings.weight": entry(0, 24, [3, 2])}, bytes(24)),
        **{f"run/{name}": data for name, data in more},
    }
    return {"run.zip": packed_zip(files)}


def test_a_run_is_the_model_that_it_trains() -> None:
    """Layers keep their names, the total is the model's own; what holds nothing is named as not read."""
    told = model(run(("training_args.bin", pickle.dumps({"lr": 0.1})), ("vocab.txt", b"a\n")))
    assert [layer.path for layer in told.layers] == ["embeddings"]
    assert (told.info.format, told.models, told.totals and told.totals.parameters) == ("safetensors", (), 6)
    assert english(told.notes[-1]) == "2 files were not read as models: run/vocab.txt and run/training_args.bin."


def test_what_a_run_would_call_is_told_with_its_place() -> None:
    """A call in a file of settings beside honest weights."""
    told = model(run(("training_args.bin", b"\x80\x02" + call("os", "system", text("id")) + b".")))
    assert [(one.severity, one.member, one.detail) for one in told.security] == [
        ("critical", "run/training_args.bin", "os.system")
    ]
    assert [layer.path for layer in told.layers] == ["embeddings"]


def test_two_runs_are_two_models() -> None:
    """Each below its folder, with its own states."""
    files: dict[str, bytes] = {}
    for folder in ("checkpoint-1", "checkpoint-2"):
        with zipfile.ZipFile(io.BytesIO(run(("settings.pkl", pickle.dumps({})))["run.zip"])) as packed:
            files |= {name.replace("run", folder): packed.read(name) for name in packed.namelist()}
    told = model({"x": packed_zip(files)})
    assert [(one.path, one.layers) for one in told.models] == [("checkpoint-1", 1), ("checkpoint-2", 1)]
