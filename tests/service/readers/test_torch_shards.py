"""pytorch_model.bin in shards or beside its config: each file as PyTorch's readers read it, held against the index."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.errors import InputError, MalformedFile, TruncatedFile
from service.readers import safetensors, torch_shards, torch_zip
from service.tree import Model
from tests.corpus import expected
from tests.service.readers.hf_uploads import folder, index, read, rules, upload, weights
from tests.service.readers.torch_archives import content

EXPECTED: dict[str, dict[str, Any]] = expected("torch_safetensors")
FOLDERS = ["llama_bins", "bert_bin"]
INDEX = "pytorch_model.bin.index.json"


def facts(found: Model) -> dict[str, tuple[list[int], str | None]]:
    return {name: (list(weight.shape or ()), weight.dtype) for name, weight in weights(found).items()}


def theirs(name: str) -> dict[str, tuple[list[int], str]]:
    return {key: (one["shape"], one["dtype"]) for key, one in EXPECTED[name]["weights"].items()}


@pytest.mark.parametrize("name", FOLDERS)
def test_every_array_of_the_shards_is_read(name: str) -> None:
    """Names, shapes and types are PyTorch's; what transformers wrote is complete and not doubted."""
    found = read(folder(name))
    assert facts(found) == theirs(name)
    assert (found.info.format, found.info.framework, found.complete, rules(found)) == (
        "torch_shards",
        "torch",
        True,
        [],
    )


def test_tied_weights_are_tied() -> None:
    """BERT's output layer shares the embedding's storage, and a bias its twin's: counted once, as by the library."""
    found = weights(read(folder("bert_bin")))
    assert sum(one.tied_to is not None for one in found.values()) == 2
    unique = sum(one.count or 0 for one in found.values() if one.tied_to is None)
    assert unique == EXPECTED["bert_bin"]["parameters"]


def test_where_the_bytes_lie_is_told() -> None:
    """The member of the archive that the shard is."""
    found = weights(read(folder("llama_bins")))["lm_head.weight"].location
    assert found is not None
    assert (found.member or "").startswith("pytorch_model-00007-of-00007.bin!/pytorch_model-00007-of-00007/data/")


def test_a_missing_shard_is_named() -> None:
    """Its arrays by name only."""
    name = "pytorch_model-00002-of-00007.bin"
    found = read({key: data for key, data in folder("llama_bins").items() if key != name})
    assert ([(one.rule, one.path) for one in found.findings], found.complete) == (
        [("index_missing_shard", name)],
        False,
    )
    gone = {key for key, one in EXPECTED["llama_bins"]["weights"].items() if one["file"] == name}
    assert {key for key, weight in weights(found).items() if weight.shape is None} == gone


def test_an_index_alone_names_arrays() -> None:
    """No shapes, and no doubts."""
    found = read({INDEX: folder("llama_bins")[INDEX]})
    assert (set(weights(found)), found.complete, rules(found)) == (set(theirs("llama_bins")), False, [])


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"weight_map": {"x.weight": "pytorch_model-00001-of-00007.bin"}}, ["index_missing_tensor"]),
        (
            {"weight_map": {"lm_head.weight": "pytorch_model-00001-of-00007.bin"}},
            ["index_unlisted_shard", "index_wrong_shard"],
        ),
        ({"metadata": {"total_size": 1}}, ["declared_mismatch"]),
    ],
)
def test_index_and_shards_are_held_against_each_other(changed: dict[str, Any], found: list[str]) -> None:
    """Missing and misplaced arrays, a wrong sum."""
    files = folder("llama_bins")
    document = json.loads(files[INDEX])
    document = {key: {**value, **changed.get(key, {})} for key, value in document.items()}
    told = set(rules(read({**files, INDEX: json.dumps(document).encode()})))
    assert set(found) >= told - {"index_unlisted_shard"}
    assert told


def test_a_single_file_beside_its_config_keeps_what_its_reader_tells() -> None:
    """Layers as without the config; tags, type and checks with it; code of a repository is a danger."""
    data = content("net_state.pt")
    config = {"architectures": ["Net"], "model_type": "net", "auto_map": {"AutoModel": "modeling.Net"}}
    found = read({"pytorch_model.bin": data, "config.json": json.dumps(config).encode()})
    alone = torch_zip.read(upload({"x": data}))
    assert [layer.path for layer in found.layers] == [layer.path for layer in alone.layers]
    assert (found.info.type, found.info.tags["model_type"]) == ("Net", "net")
    assert [(one.code, one.severity, one.member) for one in found.security][-1] == (
        "remote_code",
        "medium",
        "config.json",
    )
    assert all(
        (weight.location.member or "").startswith("pytorch_model.bin!/")
        for weight in weights(found).values()
        if weight.location
    )


def test_find_leaves_other_files_alone() -> None:
    """A lone file is for its own reader; a training run's files are no weights; each folder is its own model."""
    data = content("net_state.pt")
    assert torch_shards.find(upload({"pytorch_model.bin": data, "README.md": b"#"})) == []
    files = {"a/pytorch_model.bin": data, "a/config.json": b"{}", "a/training_args.bin": data, "b/config.json": b"{}"}
    assert torch_shards.find(upload(files)) == [frozenset({"a/pytorch_model.bin", "a/config.json"})]
    given = upload(folder("llama_bins"))
    assert [frozenset(given.parts)] == torch_shards.find(given)
    assert torch_shards.accept(given)
    assert not safetensors.accept(given)
    assert not torch_shards.accept(upload({"pytorch_model.bin": data}))


def test_a_damaged_shard_is_named() -> None:
    """Cut, or no PyTorch file at all."""
    files, name = folder("llama_bins"), "pytorch_model-00003-of-00007.bin"
    for data, kind in ((files[name][:-400], TruncatedFile), (b"hello", MalformedFile)):
        with pytest.raises(InputError) as error:
            read({**files, name: data})
        assert isinstance(error.value, kind)
        assert (error.value.info.member or "").startswith(name)


def test_reading_needs_a_model() -> None:
    """Files that are no model together are an InputError, not a bug."""
    with pytest.raises(InputError):
        torch_shards.read(upload({"a": b"", "b": index({"a": "x.bin"})}))


def sharded(file: str) -> dict[str, bytes]:
    """A file of torch.save with a state_dict, as the only shard of an index that names its entries."""
    alone = read({file: content(file)})
    names = {(weight.stored_as or "").partition("[")[0] for weight in weights(alone).values()}
    parts = {name for name in names if name.endswith((".scales", ".zero_points"))}
    shard = "pytorch_model-00001-of-00001.bin"
    return {shard: content(file), INDEX: json.dumps({"weight_map": dict.fromkeys(names - parts, shard)}).encode()}


@pytest.mark.parametrize("file", ["quantized_dynamic_state.pt", "quantized_tensors_state.pt"])
def test_quantised_tensors_are_what_they_are_in_a_file_alone(file: str) -> None:
    """PyTorch's own quantisation in a shard: kernels, scales and zero points, and the same totals as without index."""
    alone, found = read({file: content(file)}), read(sharded(file))
    assert found.info.format == "torch_shards"

    def told(model: Model) -> dict[str, tuple[Any, ...]]:
        return {key: (one.role, one.group, one.shape, one.dtype, one.count) for key, one in weights(model).items()}

    assert told(found) == told(alone)
    assert rules(found) == []
    assert any(one.role in ("quant_scale", "packed_kernel") for one in weights(found).values())
