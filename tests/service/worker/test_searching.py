"""What an upload holds: a model, several, models in archives, or nothing that is read."""

from __future__ import annotations

import functools
import io
import zipfile

import pytest

from service.config import Limits
from service.errors import InputError, TruncatedFile, UnknownFormat
from service.formats import Upload
from service.language import english
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Model
from service.worker.reading import read
from service.worker.searching import Search, search
from tests.corpus import ROOT
from tests.service.parsers.sstables import table
from tests.service.parsers.test_archives import packed_zip, tar

SAMPLES = ROOT / "docs" / "samples"


@functools.cache
def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def upload(parts: dict[str, bytes]) -> Upload:
    meter = Meter(Limits())
    return Upload({name: BytesSource(data, meter) for name, data in parts.items()}, meter)


def found(**parts: bytes) -> Search:
    return search(upload(parts), load_readers())


def model(parts: dict[str, bytes]) -> Model:
    answer = read(upload(parts), load_readers()).model
    assert answer is not None
    return answer


def unpacked(data: bytes, folder: str) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {f"{folder}{name}": archive.read(name) for name in archive.namelist()}


def test_a_model_is_the_whole_upload() -> None:
    """Also where its format is itself an archive."""
    (only,) = found(file=sample("digits.keras")).found
    assert (only.reader.FORMAT.id, only.path) == ("keras_v3", "")


@pytest.mark.parametrize("pack", [packed_zip, tar])
def test_a_model_alone_in_an_archive_is_told_as_it_is(pack) -> None:  # type: ignore[no-untyped-def]
    """Only its places are inside the member."""
    plain = model({"x": sample("digits.keras")})
    inside = model({"x": pack({"models/digits.keras": sample("digits.keras"), "README.md": b"words"})})
    assert inside.totals == plain.totals
    assert [layer.path for layer in inside.layers] == [layer.path for layer in plain.layers]
    assert inside.models == ()
    places = {weight.location.member for layer in inside.layers for weight in layer.weights if weight.location}
    assert places == {"models/digits.keras!/model.weights.h5"}
    assert english(inside.notes[-1]) == "1 file was not read as a model: README.md."


def test_files_that_are_one_model_together_are_found_among_others() -> None:
    """An unpacked folder, with what else lies beside it; the same model as the archive it was."""
    parts = {**unpacked(sample("digits.keras"), "repo/"), "repo2/other.txt": b"words"}
    (only,) = found(**parts).found
    assert (only.reader.FORMAT.id, only.path) == ("keras_v3", "repo")
    assert model(parts).totals == model({"x": sample("digits.keras")}).totals


def test_several_models_are_one_answer_and_each_is_told() -> None:
    """Below a layer of its own each, with totals for each and for all; what cannot be read is named."""
    first, second = sample("digits.keras"), sample("digits_module.pt")
    joined = model({"x": packed_zip({"a/digits.keras": first, "b.pt": second, "cut.pt": second[:-100]})})
    assert [(one.path, one.format, one.code) for one in joined.models] == [
        ("a/digits.keras", "keras_v3", None), ("b.pt", "torch_zip", None), ("cut.pt", None, "truncated_file"),
    ]  # fmt: skip
    assert (joined.info.format, joined.info.framework, joined.complete) == ("several", "several", False)
    assert joined.totals is not None
    alone = [model({"x": data}).totals for data in (first, second)]
    assert joined.totals.parameters == sum(one.parameters or 0 for one in alone if one)
    assert [one.totals for one in joined.models[:2]] == alone
    tops = [layer.path for layer in joined.layers if layer.parent is None]
    assert tops == ["a/digits.keras", "b.pt"]
    paths = [layer.path for layer in joined.layers]
    assert len(set(paths)) == len(paths)
    assert all(layer.parent is None or layer.parent in paths for layer in joined.layers)
    assert all(source in paths for layer in joined.layers for source in layer.inputs or ())


def test_archives_inside_archives_are_opened_as_deep_as_allowed() -> None:
    """Two deep by default; what lies deeper is named as not read."""
    inner = packed_zip({"digits.keras": sample("digits.keras")})
    (only,) = found(x=tar({"in.zip": inner})).found
    assert only.path == "in.zip!/digits.keras"
    with pytest.raises(UnknownFormat):
        found(x=tar({"mid.zip": packed_zip({"in.zip": inner})}))


def test_models_sent_side_by_side_are_both_read() -> None:
    """As several files of one upload."""
    names = [one.path for one in found(a=sample("digits.keras"), b=sample("digits_module.pt")).found]
    assert names == ["a", "b"]


def test_an_archive_without_models_says_so() -> None:
    """And what is in it."""
    with pytest.raises(UnknownFormat) as caught:
        found(x=packed_zip({"notes.txt": b"words", "more.txt": b"words"}))
    assert caught.value.info.extra["members"] == ["notes.txt", "more.txt"]


def test_a_broken_archive_is_told_as_one() -> None:
    """Not as an unknown format."""
    with pytest.raises(TruncatedFile):
        found(x=packed_zip({"digits.keras": sample("digits.keras")})[:-30])


def test_where_nothing_can_be_read_the_error_is_the_models() -> None:
    """And says in which file."""
    cut = sample("digits_module.pt")[:-100]
    with pytest.raises(InputError) as caught:
        model({"x": packed_zip({"cut.pt": cut, "words.txt": b"x"})})
    assert (caught.value.info.code, caught.value.info.member) == ("truncated_file", "cut.pt")


def test_odd_names_in_an_archive_are_dangers() -> None:
    """They are listed; nothing is ever extracted."""
    answer = model({"x": packed_zip({"../../etc/digits.keras": sample("digits.keras")})})
    assert "archive_path_escape" in {danger.code for danger in answer.security}


def test_the_head_of_a_file_is_read_once_for_all_readers() -> None:
    """However many formats there are: a file of nothing known costs its first bytes and no more."""
    meter = Meter(Limits())

    class Counted(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            meter.add_read(length)
            return super().read_at(offset, length)

    with pytest.raises(UnknownFormat):
        search(Upload({"x": Counted(b"\x07" * 5_000_000, meter)}, meter), load_readers())
    assert meter.read < 500_000


def test_models_that_share_a_document_are_each_found_with_it() -> None:
    """Two files of safetensors beside one configuration, two checkpoints beside one state file: four models."""
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    weights = len(header).to_bytes(8, "little") + header + bytes(8)
    index = table([[(b"", b"\x08\x01\x1a\x02\x08\x01"), (b"w", b"\x08\x01\x12\x04\x12\x02\x08\x02\x28\x08")]])
    parts = {
        "hf/config.json": b'{"model_type": "bert"}', "hf/one.safetensors": weights, "hf/two.safetensors": weights,
        "tf/checkpoint": b'model_checkpoint_path: "b"\n', "tf/a.index": index, "tf/b.index": index,
        "tf/a.data-00000-of-00001": bytes(8), "tf/b.data-00000-of-00001": bytes(8),
    }  # fmt: skip
    searched = found(**parts)
    given = [(one.path, one.reader.FORMAT.id, sorted(one.upload.parts)) for one in searched.found]
    assert given == [
        ("hf/one.safetensors", "safetensors", ["hf/config.json", "hf/one.safetensors"]),
        ("hf/two.safetensors", "safetensors", ["hf/config.json", "hf/two.safetensors"]),
        ("tf/a.index", "tf_checkpoint", ["tf/a.data-00000-of-00001", "tf/a.index", "tf/checkpoint"]),
        ("tf/b.index", "tf_checkpoint", ["tf/b.data-00000-of-00001", "tf/b.index", "tf/checkpoint"]),
    ]
    assert not searched.unread
    joined = model(parts)
    assert len(joined.models) == 4
    paths = [layer.path for layer in joined.layers]
    assert len(set(paths)) == len(paths)
