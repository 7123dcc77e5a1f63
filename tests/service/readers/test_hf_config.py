"""config.json and adapter_config.json: which JSON is whose, what is asked of the builder, what a lone adapter tells."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.errors import InputError, InvalidSpec, LimitExceeded, MalformedFile, MalformedJson, UnsupportedFeature
from service.formats import BuildRequest
from service.readers import hf_adapter, hf_config
from service.registry import identify, load_readers
from tests.mutation import mutants
from tests.service.readers.hf_uploads import folder, read, refusal, rules, safetensors, upload, weights

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2}
ADAPTER = {
    "peft_type": "LORA",
    "r": 8,
    "lora_alpha": 16,
    "target_modules": ["q_proj"],
    "base_model_name_or_path": "x/y",
}


def raw(document: Any) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


def taker(document: Any) -> str | None:
    """The id of the reader that takes a document, None if none does."""
    given = upload({"config.json": raw(document)})
    try:
        return identify(given, load_readers()).FORMAT.id
    except InputError:
        return None


@pytest.mark.parametrize(
    ("document", "reader"),
    [
        (LLAMA, "hf_config"),
        ({"model_type": "bert"}, "hf_config"),
        ({"architectures": ["X"], "auto_map": {"AutoModel": "m.X"}}, "hf_config"),
        (b"\xef\xbb\xbf\n" + raw(LLAMA), "hf_config"),
        (raw(LLAMA)[:-3], "hf_config"),
        ({"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.30"}, "hf_config"),
        (ADAPTER, "hf_adapter"),
        (raw(ADAPTER)[:-3], "hf_adapter"),
        ({"class_name": "Sequential", "config": {"layers": []}, "model_type": "x"}, "keras_json"),
        ({"framework": "torch", "layers": [{"type": "Linear"}], "model_type": "x"}, "layer_list"),
        ({"architectures": []}, None),
        ({"model_type": 3}, None),
        ({"prompts": {}, "__version__": {}, "model_type": "SentenceTransformer"}, None),
        ({"tokenizer_class": "LlamaTokenizer", "model_max_length": 9}, None),
        ({}, None),
        (b"{", None),
    ],
)
def test_each_document_has_one_reader(document: Any, reader: str | None) -> None:
    """transformers, diffusers and PEFT, also broken off; Keras, layer lists, tokenizers and others are not ours."""
    assert taker(document) == reader


def test_no_two_readers_claim_the_same_document() -> None:
    """Among all readers."""
    for document in (LLAMA, ADAPTER, raw(LLAMA)[:-3]):
        given = upload({"x": raw(document)})
        assert len([one for one in load_readers() if one.accept(given)]) == 1


def test_a_config_is_a_request_to_build() -> None:
    """The document as it is, for the transformers worker; Infinity, which Python writes, as its name."""
    request = hf_config.read(upload({"x": raw({**LLAMA, "time_step_limit": [0.0, float("inf")]})}))
    assert isinstance(request, BuildRequest)
    assert (request.kind, request.dialect) == ("transformers", "hf_config")
    assert request.spec == {**LLAMA, "time_step_limit": [0.0, "Infinity"]}


@pytest.mark.parametrize(
    ("document", "kind", "pointer"),
    [
        ({"_class_name": "AutoencoderKL"}, UnsupportedFeature, "_class_name"),
        ({**LLAMA, "hidden_size": 2**63}, InvalidSpec, "hidden_size"),
        ({**LLAMA, "text_config": {"num_hidden_layers": 10_001}}, LimitExceeded, "text_config.num_hidden_layers"),
        (raw(LLAMA)[:-3], MalformedJson, None),
        (b'{"model_type": "a", "model_type": "b"}', MalformedJson, None),
        ({"a": 1}, InvalidSpec, None),
        (b"[1]", MalformedFile, None),
    ],
)
def test_what_is_refused(document: Any, kind: type[InputError], pointer: str | None) -> None:
    """diffusers, sizes and layers that no model has, broken JSON: with the place."""
    with pytest.raises(kind) as error:
        hf_config.read(upload({"x": raw(document)}))
    assert error.value.info.pointer == pointer


@pytest.mark.parametrize(
    ("settings", "pointer", "value"),
    [
        ({"depths": [100_000] * 4}, "depths", 400_000),
        ({"depths": [2_600, 2_500, 2_500, 2_500]}, "depths", 10_100),
        ({"num_decoder_layers": 10_001}, "num_decoder_layers", 10_001),
        ({"vision_config": {"depth": 10**6}}, "vision_config.depth", 10**6),
        ({"backbone_config": {"num_block_repeats": [9_999, 2]}}, "backbone_config.num_block_repeats", 10_001),
        ({"layers_per_block": 10**9}, "layers_per_block", 10**9),
        ({"attention_types": [[["global", "local"], 10**8]]}, "attention_types", 10**8),
        ({"layer_types": "x", "layers_block_types": 3, "mlp_layers": [0] * 10_001}, "mlp_layers", 10_001),
        ({"num_labels": 10**8}, "num_labels", 10**8),
        ({"a": {"num_labels": 600_000}, "b": {"num_labels": 600_000}}, "b.num_labels", 600_000),
    ],
)
def test_what_asks_for_more_than_can_be_built_is_refused_at_once(
    settings: dict[str, Any], pointer: str, value: int
) -> None:
    """Numbers and lists of layers under whatever name, and labels, each of which the library makes a text for."""
    with pytest.raises(LimitExceeded) as error:
        hf_config.read(upload({"x": raw({**LLAMA, **settings})}))
    assert (error.value.info.pointer, error.value.info.extra["value"]) == (pointer, value)
    assert str(error.value.info.detail).startswith(f"{pointer} asks for {value:,} ")


@pytest.mark.parametrize(
    "settings",
    [
        {"vocab_size": 10**7, "max_position_embeddings": 10**7, "hidden_size": 65_536, "n_positions": 10**6},
        {"moe_layers": list(range(160)), "vision_feature_layers": [-2, 5]},
        {"num_attention_heads_per_layer": [96] * 200, "num_experts": 16_384, "layer_norm_eps": 1e-5},
        {"depths": [3, 3, 27, 3], "num_labels": 21_843, "use_layers": True, "max_depth": 65_535},
    ],
)
def test_sizes_and_places_are_no_counts(settings: dict[str, Any]) -> None:
    """Rows of tables cost nothing, and a list of places is as deep as its last one says."""
    assert isinstance(hf_config.read(upload({"x": raw({**LLAMA, **settings})})), BuildRequest)


def test_a_spec_is_bounded() -> None:
    """In bytes."""
    with pytest.raises(LimitExceeded):
        hf_config.read(upload({"x": raw({**LLAMA, "x": "y" * 1000})}, spec_bytes=500))


def test_find_takes_a_config_only_where_there_are_no_weights() -> None:
    """With generation_config.json; folders with weights of any framework are for their readers."""
    files = {"a/config.json": raw(LLAMA), "a/generation_config.json": b"{}", "a/tokenizer.json": b"{}"}
    more = {"b/config.json": raw(LLAMA), "b/x.gguf": b"GGUF", "c/config.json": raw({"a": 1}), "config.json": raw(LLAMA)}
    given = upload({**files, **more})
    found = set(hf_config.find(given))
    assert found == {frozenset({"a/config.json", "a/generation_config.json"}), frozenset({"config.json"})}
    assert all(hf_config.accept(given.only(names)) for names in found)
    assert isinstance(hf_config.read(given.only(["a/config.json", "a/generation_config.json"])), BuildRequest)


def test_a_lone_adapter_says_what_it_is() -> None:
    """Kind, rank, scale and targets; incomplete, as its arrays are elsewhere."""
    found = read({"adapter_config.json": raw(ADAPTER)})
    assert (found.info.format, found.info.type, found.complete, found.layers) == ("hf_adapter", "LORA", False, ())
    assert found.info.tags == ADAPTER
    assert str(found.notes[0]) == (
        "This is the configuration of an adapter (LORA) for x/y, without its weights: its layers and counts are in "
        "adapter_model.safetensors."
    )
    files = {"a/adapter_config.json": raw(ADAPTER), "b/adapter_config.json": raw(ADAPTER), "b/adapter_model.bin": b""}
    assert hf_adapter.find(upload(files)) == [frozenset({"a/adapter_config.json"})]


def test_an_adapter_with_its_weights() -> None:
    """Its settings as tags; a rank that the pairs do not have is named for each of them."""
    found = read(folder("adapter"))
    assert (found.info.tags["peft_type"], found.info.tags["r"], found.info.tags["lora_alpha"]) == ("LORA", 4, 8)
    assert len(weights(found)) == 12
    assert rules(read(folder("adapter_wrong"))) == ["declared_mismatch"] * 12


def test_a_folder_tells_what_its_config_says() -> None:
    """Class, name, settings, quantization; code of a repository is a danger, a broken document a finding."""
    data = folder("llama")["model.safetensors"]
    config = {
        **json.loads(folder("llama")["config.json"]),
        "_name_or_path": "me/llama",
        "quantization_config": {"bits": 4},
    }
    found = read({"model.safetensors": data, "config.json": raw({**config, "auto_map": {"AutoModel": "a--b.C"}})})
    tags = found.info.tags
    assert (found.info.type, found.info.name, found.info.members) == (
        "LlamaForCausalLM", "me/llama", ("config.json", "model.safetensors"),
    )  # fmt: skip
    assert (tags["model_type"], tags["torch_dtype"], tags["quantization_config"]) == ("llama", "float32", {"bits": 4})
    assert tags["config"]["hidden_size"] == 32
    assert [(one.code, one.detail) for one in found.security] == [("remote_code", "/auto_map: AutoModel: a--b.C")]
    broken = read({"model.safetensors": data, "config.json": b'{"a": '})
    assert ([(one.rule, one.path) for one in broken.findings], len(weights(broken))) == (
        [("config_unreadable", "config.json")], 30,
    )  # fmt: skip


def test_a_part_of_a_diffusers_pipeline_is_described_with_its_weights() -> None:
    """Its class is the type."""
    found = read({
        "diffusion_pytorch_model.safetensors": safetensors({}),
        "config.json": raw({"_class_name": "AutoencoderKL", "_diffusers_version": "0.30.0"}),
    })  # fmt: skip
    assert (found.info.type, found.info.tags["diffusers_version"]) == ("AutoencoderKL", "0.30.0")


def test_mutants_are_read_or_refused() -> None:
    """Changed documents, alone and beside weights: an answer or an InputError."""
    data = folder("llama")["model.safetensors"]
    full = json.loads(folder("llama")["config.json"])
    for mutant in mutants([full, ADAPTER, LLAMA], 400):
        for files in (
            {"x": raw(mutant)},
            {"model.safetensors": data, "config.json": raw(mutant)},
            {"adapter_model.safetensors": data, "adapter_config.json": raw(mutant)},
        ):
            given = upload(files)
            error = refusal(lambda given=given: identify(given, load_readers()).read(given))
            assert error is None or error.info.detail
