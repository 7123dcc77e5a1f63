"""Formats that no package ships: published networks with the packages' weights, written by the formats' libraries."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import pytest

from service.enrich.pipeline import enrich
from service.formats import Upload
from service.readers import orbax
from service.registry import load_readers
from service.tree import Model, Weight
from service.worker.reading import read
from tests.corpus import ROOT, interpreter
from tests.packages.fetch import FOLDER, Shipped, fetch, manifest
from tests.service.readers.fielded import folder
from tests.service.readers.fielded import upload as upload_of
from tests.service.readers.hf_uploads import upload

HERE = Path(__file__).parent
PROGRAMS = HERE / "executorch_published"
EXPECTED: dict[str, dict[str, list[Any]]] = json.loads((PROGRAMS / "expected.json").read_text())
READERS = load_readers()


def model(files: Mapping[str, bytes]) -> Model:
    """Our answer, enriched."""
    answer = read(upload(files), READERS).model
    assert answer is not None
    return answer


def held(found: Model) -> Iterator[Weight]:
    """Every weight that is stored once."""
    yield from (one for layer in found.layers for one in layer.weights if one.tied_to is None)


def digest(files: Mapping[str, bytes], weight: Weight) -> str:
    """Of the bytes at the place that is told."""
    place = weight.location
    assert place is not None
    assert place.offset is not None
    assert place.length is not None
    data = files[place.member] if place.member in files else next(iter(files.values()))
    return hashlib.sha256(data[place.offset : place.offset + place.length]).hexdigest()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_programs_of_executorch_hold_the_published_weights(name: str) -> None:
    """At each place the very bytes of the package's weights, whatever shape a program gives them; nothing else."""
    files = {name: (PROGRAMS / name).read_bytes()}
    beside = PROGRAMS / name.replace(".pte", ".ptd")
    if beside.exists():
        files[beside.name] = beside.read_bytes()
    found = model(files)
    assert (found.info.format, found.complete, found.security, found.models) == ("executorch", True, (), ())
    ours = sorted((one.count, digest(files, one)) for one in held(found))
    assert ours == sorted((prod(shape), content) for shape, content in EXPECTED[name].values())
    assert {layer.explanation.status for layer in found.layers if layer.explanation is not None} == {"complete"}


@pytest.mark.parametrize("name", ["espcn_data", "heads_data"])
def test_named_data_alone_is_read(name: str) -> None:
    """A .ptd without its program: the parameters by their names, with the very bytes."""
    files = {"x": (PROGRAMS / f"{name}.ptd").read_bytes()}
    found = model(files)
    assert found.info.format == "executorch_data"
    ours = {one.stored_as: [list(one.shape or ()), digest(files, one)] for one in held(found)}
    assert ours == EXPECTED[f"{name}.pte"]


NETS = {"pnet": "pnet.pt", "rnet": "rnet.pt"}


def written(script: str, kind: str, files: Sequence[Path]) -> Path:
    """The folder that a script beside this module leaves, made once per version of it and of the networks."""
    source = HERE / script
    version = hashlib.sha256(source.read_bytes() + (HERE / "published.py").read_bytes()).hexdigest()
    target = FOLDER / f"{source.stem}-{version[:16]}"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{source.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes make it once
        if not (target / "expected.json").exists():
            command = [interpreter(kind), str(source), str(target), *map(str, files)]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[-4000:]
    return target


def exported() -> Path:
    """A folder with what PyTorch wrote of facenet-pytorch's networks, and what it says of them."""
    return written("published_torch.py", "torch", [fetch(shipped(name)) for name in NETS.values()])


def shipped(name: str) -> Shipped:
    return next(file for file in manifest() if file.package == "facenet-pytorch" and file.path.endswith(name))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("ending", "format_id"), [(".pt2", "torch_export"), (".pkl", "torch_pickle")])
def test_exported_and_pickled_networks_are_the_published_ones(name: str, ending: str, format_id: str) -> None:
    """Names, shapes, who learns and the count that the package's own file has."""
    expected = json.loads((exported() / "expected.json").read_text())[name]
    found = model({"x": (exported() / f"{name}{ending}").read_bytes()})
    assert (found.info.format, found.info.framework, found.complete) == (format_id, "torch", True)
    ours = {f"{layer.path}.{one.name}": list(one.shape or ()) for layer in found.layers for one in layer.weights}
    assert ours == expected
    assert found.totals is not None
    assert found.totals.parameters == shipped(NETS[name]).elements
    assert [one for one in found.security if one.severity in ("critical", "high")] == []


def test_an_exported_network_has_its_layers() -> None:
    """Classes and edges of the proposal network, from the graph."""
    found = model({"x": (exported() / "pnet.pt2").read_bytes()})
    kinds = [layer.kind for layer in found.layers if layer.type]
    assert kinds.count("conv2d") == 5
    assert kinds.count("prelu") == 3
    assert {"pool", "softmax"} <= set(kinds) | {kind.split("_")[-1] for kind in kinds}


def checkpoints() -> Path:
    """Orbax folders of fusion-surrogates' networks, and what Flax reads of them."""
    return written("published_orbax.py", "field", [fetch(file) for file in manifest("flax")])


@pytest.mark.parametrize("file", manifest("flax"), ids=lambda file: file.id)
@pytest.mark.parametrize("way", ["ocdbt", "zarr"])
def test_orbax_folders_are_the_published_networks(file: Shipped, way: str) -> None:
    """Every array of the package's network by its path and shape; with zarr the types and the count, too."""
    expected = json.loads((checkpoints() / "expected.json").read_text())
    stem = Path(file.path).stem
    given: Upload = upload_of(folder(checkpoints() / f"{stem}_{way}"))
    assert orbax.accept(given)
    found = enrich(orbax.read(given))
    ours = {(one.stored_as or "").replace(".", "/"): list(one.shape or ()) for one in held(found)}
    assert ours == expected[stem]
    assert sum(one.count or 0 for one in held(found)) == file.elements
    assert {one.dtype for one in held(found)} == ({"float32"} if way == "zarr" else {None})
