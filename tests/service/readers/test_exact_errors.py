"""A file of each format that is cut off, and one that is damaged: exactly what is said, and where.

Sentences are literal; numbers in them that depend on how long a framework wrote a file are named: `size` of the whole
file, `cut` of what is left of it, `half` of it. What a reader can still describe has a finding instead of an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pytest

from service.errors import InputError
from service.formats import Upload
from service.readers import coreml_package
from service.registry import load_readers
from service.worker.reading import read
from tests.service.readers.test_one_taker import samples, upload

READERS = load_readers()
Damage = Callable[[bytes], bytes]


class Case(NamedTuple):
    """What is done to a file; the code, or the rule of a finding; its sentence; where, None for a finding."""

    format: str
    damage: Damage
    code: str
    sentence: str
    offset: str | None = None


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def almost(data: bytes) -> bytes:
    return data[:-1]


def unclosed(data: bytes) -> bytes:
    """A document without its last brace or bracket."""
    return data.rstrip()[:-1]


def without_end(data: bytes) -> bytes:
    return data[: data.rindex(b"</net>")]


def first(count: int) -> Damage:
    return lambda data: data[:count]


def scratched(at: int | None = None) -> Damage:
    """Sixteen bytes overwritten, in the middle if no place is named."""

    def work(data: bytes) -> bytes:
        place = len(data) // 2 if at is None else at
        return data[:place] + b"\xff" * 16 + data[place + 16 :]

    return work


def ended(end: bytes) -> Damage:
    return lambda data: data[: -len(end)] + end


def followed(by: bytes) -> Damage:
    return lambda data: data + by


ZIP_CUT = "The zip archive has no end record: its last part is missing, or something follows it."
ZIP_TWICE = "The entry's own header contradicts the archive's directory."
JSON_CUT = "Not valid JSON: Expecting ',' delimiter."
NOT_UTF8 = "The JSON is not UTF-8."
FIELD_CUT = "A field ends after the message that holds it."
NO_WIRE = "A field has wire type 7, which does not exist."
NO_OPCODE = "This is not a pickle opcode."
PICKLE_CUT = "The pickle needs 1 more bytes here, but only 0 follow."
ARRAYS_CUT = (
    "The arrays need {size:,} bytes, but only {cut:,} are there: the file was cut off or is still being downloaded."
)
BEYOND = "The file's structure points beyond its end: the file was cut off or is damaged."
NO_HEADER = "The file has segments, but no header that says where they are."

CASES = (
    Case("coreml", halved, "truncated_file", FIELD_CUT, "93"),
    Case("coreml", scratched(8), "malformed_file", "A number has more than 10 bytes.", "13"),
    Case("executorch", halved, "truncated_file", BEYOND, "196"),
    Case("executorch", scratched(8), "malformed_file", NO_HEADER, "8"),
    Case("executorch_data", halved, "data_truncated", ARRAYS_CUT),
    Case("executorch_data", scratched(8), "malformed_file", NO_HEADER, "8"),
    Case("flax_msgpack", almost, "data_truncated", ARRAYS_CUT),
    Case("flax_msgpack", scratched(8), "malformed_file", "A string is not UTF-8.", "8"),
    Case("gguf", first(60), "truncated_file",
         "The file ends at byte 60, within its header: of 1 keys and 1 tensors 0 and 0 are whole.", "56"),
    Case("gguf", scratched(8), "malformed_file",
         "The header announces 18,446,744,073,709,551,615 keys and 18,446,744,073,709,551,615 tensors; 232 bytes "
         "follow, which cannot hold them.", "8"),
    Case("hf_adapter", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("hf_adapter", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("hf_config", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("hf_config", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("keras_h5", halved, "truncated_file", "The HDF5 file should have {size:,} bytes and has {cut:,}.", "{cut}"),
    Case("keras_h5", scratched(8), "malformed_file", "The superblock in the HDF5 file is broken.", "8"),
    Case("keras_json", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("keras_json", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("keras_v3", halved, "truncated_file", ZIP_CUT, "{cut}"),
    Case("keras_v3", scratched(8), "inconsistent_archive", ZIP_TWICE, "0"),
    Case("keras_weights_h5", almost, "truncated_file", "The HDF5 file should have {size:,} bytes and has {cut:,}.",
         "{cut}"),
    Case("keras_weights_h5", scratched(8), "malformed_file", "The superblock in the HDF5 file is broken.", "8"),
    Case("layer_list", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("layer_list", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("ncnn", halved, "malformed_file", "A line is no layer: DeformableConv2D.", "48"),
    Case("ncnn", scratched(8), "malformed_file", "The second line must count layers and blobs.", "8"),
    Case("npy", halved, "truncated_file", "The array ends within its header, at byte {cut}.", "{cut}"),
    Case("npy", almost, "data_wrong_size", "array has 47 bytes; its shape and element type need 48."),
    Case("npz", halved, "truncated_file", ZIP_CUT, "{cut}"),
    Case("npz", scratched(8), "inconsistent_archive", ZIP_TWICE, "0"),
    Case("numpy_pickle", almost, "truncated_file", PICKLE_CUT, "{cut}"),
    Case("numpy_pickle", ended(b"\xff"), "malformed_file", NO_OPCODE, "{size} - 1"),
    Case("onnx", almost, "data_truncated", ARRAYS_CUT),
    Case("onnx", followed(b"\x0f"), "malformed_file", NO_WIRE, "{size}"),
    Case("openvino", without_end, "truncated_file", "The XML document ends inside net.", "{cut}"),
    Case("openvino", scratched(), "malformed_file", "The XML document is not UTF-8.", "{half}"),
    Case("orbax", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("orbax", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("paddle_inference", halved, "truncated_file", FIELD_CUT, "0"),
    Case("paddle_inference", followed(b"\x0f"), "malformed_file", NO_WIRE, "{size}"),
    Case("paddle_json", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("paddle_json", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("paddle_params", almost, "truncated_file", PICKLE_CUT, "{cut}"),
    Case("paddle_params", ended(b"\xff"), "malformed_file", NO_OPCODE, "{size} - 1"),
    Case("paddle_tensors", almost, "data_truncated", ARRAYS_CUT),
    Case("paddle_tensors", followed(b"\xff" * 16), "malformed_file", "No tensor begins here: its version is not 0.",
         "{size}"),
    Case("safetensors", halved, "truncated_file", "The header has 140 bytes, of which the last 44 are missing.",
         "{cut}"),
    Case("safetensors", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("tf_checkpoint", halved, "truncated_file", "The table's footer is missing: the end of the file is not there.",
         "{cut}"),
    Case("tf_checkpoint", scratched(8), "malformed_file", "A number in the table does not end.", "0"),
    Case("tf_graphdef", almost, "truncated_file", FIELD_CUT, "{cut} - 4"),
    Case("tf_graphdef", followed(b"\x0f"), "malformed_file", NO_WIRE, "{size}"),
    Case("tf_savedmodel", halved, "truncated_file", FIELD_CUT, "2"),
    Case("tf_savedmodel", followed(b"\x0f"), "malformed_file", NO_WIRE, "{size}"),
    Case("tfjs", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("tfjs", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("tflite", halved, "truncated_file", BEYOND, "44"),
    Case("tflite", scratched(8), "malformed_file", "A table of the file's structure has a broken description.", "8"),
    Case("torch_export", halved, "truncated_file", ZIP_CUT, "{cut}"),
    Case("torch_export", scratched(8), "inconsistent_archive", ZIP_TWICE, "0"),
    Case("torch_legacy", almost, "truncated_file", "A storage needs 48 bytes, but only 47 follow.", "{cut} - 47"),
    Case("torch_legacy", scratched(8), "malformed_file", NO_OPCODE, "14"),
    Case("torch_pickle", almost, "truncated_file", PICKLE_CUT, "{cut}"),
    Case("torch_pickle", ended(b"\xff"), "malformed_file", NO_OPCODE, "{size} - 1"),
    Case("torch_shards", unclosed, "malformed_json", JSON_CUT, "{cut}"),
    Case("torch_shards", scratched(), "malformed_json", NOT_UTF8, "{half}"),
    Case("torch_tar", first(1600), "truncated_file", "The member needs 101 bytes, but only 64 follow.", "1536"),
    Case("torch_tar", scratched(1040), "malformed_file", "A tar header's checksum is wrong.", "1024"),
    Case("torch_zip", halved, "truncated_file", ZIP_CUT, "{cut}"),
    Case("torch_zip", scratched(8), "inconsistent_archive", ZIP_TWICE, "0"),
    Case("torchscript", halved, "truncated_file", ZIP_CUT, "{cut}"),
    Case("torchscript", scratched(8), "inconsistent_archive", ZIP_TWICE, "0"),
)  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> Mapping[str, bytes]:
    """One file of each format."""
    found: dict[str, bytes] = {}
    for format_id, _, data in samples():
        found.setdefault(format_id, data)
    return found


def told(data: bytes) -> tuple[str, str, int | None]:
    """Code, sentence and offset of the error; rule and sentence of the first finding where there is none."""
    try:
        model = read(upload(data), READERS).model
    except InputError as error:
        return error.info.code, str(error.info.detail), error.info.offset
    assert model is not None
    assert not model.complete
    finding = next(one for one in model.findings if one.rule.startswith("data_"))
    return finding.rule, str(finding.what), None


def number(text: str, sizes: Mapping[str, int]) -> int:
    """A number, or a named one less another."""
    whole, _, less = text.format(**sizes).partition(" - ")
    return int(whole) - int(less or 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format}-{case.code}")
def test_what_is_broken_is_told_exactly(case: Case, whole: Mapping[str, bytes]) -> None:
    """Code, sentence and place."""
    data = whole[case.format]
    broken = case.damage(data)
    sizes = {"size": len(data), "cut": len(broken), "half": len(data) // 2}
    sentence = case.sentence.format(**sizes)
    assert told(broken) == (case.code, sentence, None if case.offset is None else number(case.offset, sizes))


def test_a_package_without_its_model_is_told() -> None:
    """The one format that no single file is: a manifest that names a model which was not sent."""
    manifest = b'{"rootModelIdentifier": "1", "itemInfoEntries": {"1": {"path": "com.apple.CoreML/model.mlmodel"}}}'
    sent = upload(manifest)
    given = Upload({"m.mlpackage/Manifest.json": next(iter(sent.parts.values()))}, sent.meter)
    with pytest.raises(InputError) as caught:
        coreml_package.read(given)
    model = "m.mlpackage/Data/com.apple.CoreML/model.mlmodel"
    sentence = f"The manifest says that the model is {model}, which is not among the files."
    assert (caught.value.info.code, str(caught.value.info.detail)) == ("malformed_file", sentence)


def test_every_format_is_here() -> None:
    """Twice: cut off and damaged."""
    counted = [case.format for case in CASES]
    formats = {reader.FORMAT.id for reader in READERS} - {"coreml_package"}
    assert {name: counted.count(name) for name in counted} == dict.fromkeys(formats, 2)
