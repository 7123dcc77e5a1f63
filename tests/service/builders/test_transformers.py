"""Hugging Face configurations are built by the library itself, without weights, code or network."""

from __future__ import annotations

import functools
import json
import subprocess

import pytest

from tests.building import answers, elements
from tests.corpus import interpreter

SIZES = {
    "llama": ("LlamaForCausalLM", 6_738_415_616),
    "gpt2": ("GPT2LMHeadModel", 124_439_808),
    "bert": ("BertModel", 109_482_240),
    "vit": ("ViTModel", 86_389_248),
    "t5": ("T5ForConditionalGeneration", 60_506_624),
    "whisper": ("WhisperForConditionalGeneration", 37_760_640),
    "mixtral": ("MixtralForCausalLM", 46_702_792_704),
    "wav2vec2": ("Wav2Vec2Model", 94_371_712),
    "clip": ("CLIPModel", 151_277_313),
    "gemma2": ("Gemma2ForCausalLM", 2_614_341_888),
    "distilbert": ("DistilBertModel", 66_362_880),
    "bart": ("BartForConditionalGeneration", 406_291_456),
}
"""Class and parameters of the default configuration of each type, tied ones once."""

COUNT = """
import json, sys, torch, transformers
found = {}
for model_type, name in json.load(sys.stdin).items():
    with torch.device("meta"):
        model = getattr(transformers, name)(transformers.AutoConfig.for_model(model_type))
    found[model_type] = {name: [list(value.shape), value.requires_grad] for name, value in model.named_parameters()}
print(json.dumps(found))
"""


def config(model_type: str, **settings: object) -> dict[str, object]:
    return {"model_type": model_type, "architectures": [SIZES[model_type][0]], **settings}


@functools.cache
def built() -> dict[str, dict]:
    """Our answer for each type."""
    return dict(zip(SIZES, answers("transformers", [config(model_type) for model_type in SIZES]), strict=True))


@functools.cache
def library() -> dict[str, dict]:
    """What the library says of the same models, asked without us."""
    names = {model_type: name for model_type, (name, _) in SIZES.items()}
    done = subprocess.run([interpreter("torch"), "-c", COUNT], input=json.dumps(names), capture_output=True, text=True,
                          check=True)  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.parametrize("model_type", SIZES)
def test_every_parameter_is_the_librarys(model_type: str) -> None:
    """Names, shapes and what learns are those of the same class made by the library, tied weights once."""
    model = built()[model_type]["model"]
    ours = {
        f"{layer['path']}.{weight['name']}".removeprefix("."): [weight["shape"], weight["trainable"]]
        for layer in model["layers"]
        for weight in layer["weights"]
        if weight["group"] != "statistic" and weight["tied_to"] is None
    }
    assert {name.removeprefix("."): value for name, value in ours.items()} == library()[model_type]


@pytest.mark.parametrize("model_type", SIZES)
def test_the_counts_are_the_published_ones(model_type: str) -> None:
    """The size of the default configuration, as model cards and papers give it."""
    model = built()[model_type]["model"]
    tied = sum(weight["count"] for layer in model["layers"] for weight in layer["weights"] if weight["tied_to"])
    assert elements(model, "trainable", "frozen") - tied == SIZES[model_type][1]
    assert (model["info"]["format"], model["info"]["type"]) == ("hf_config", SIZES[model_type][0])


def test_layers_have_their_classes_and_kinds() -> None:
    """Those of PyTorch, those written by the library, and the kernel whose inputs come first."""
    layers = {layer["path"]: layer for layer in built()["llama"]["model"]["layers"]}
    query, norm = layers["model.layers.0.self_attn.q_proj"], layers["model.norm"]
    assert (query["type"], query["kind"], query["weights"][0]["layout"]) == ("Linear", "linear", "out-in")
    assert (norm["type"], norm["kind"], norm["weights"][0]["role"]) == ("LlamaRMSNorm", "rms_norm", "scale")
    conv = {layer["path"]: layer for layer in built()["gpt2"]["model"]["layers"]}["transformer.h.0.attn.c_attn"]
    assert (conv["type"], conv["kind"], conv["weights"][0]["layout"]) == ("Conv1D", "linear", "in-out")


def test_tied_weights_are_told() -> None:
    """GPT-2's head is its table of tokens."""
    layers = {layer["path"]: layer for layer in built()["gpt2"]["model"]["layers"]}
    assert layers["lm_head"]["weights"][0]["tied_to"] == "transformer.wte.weight"


REFUSED = [
    ({"model_type": "no_such_model", "architectures": ["NoSuchModel"]}, "unsupported_feature", "model_type"),
    ({"model_type": "llama", "architectures": ["BertModel"]}, "unsupported_feature", "architectures"),
    ({"model_type": "llama", "architectures": ["subprocess.Popen"]}, "unsupported_feature", "architectures"),
    (config("llama", hidden_size="wide"), "invalid_spec", None),
    (config("llama", hidden_size=-4), "invalid_spec", None),
    (config("llama", num_attention_heads=0), "invalid_spec", None),
]


def test_what_cannot_be_built_is_refused() -> None:
    """By a problem that says which setting, never by a crash."""
    for (document, code, pointer), answer in zip(
        REFUSED, answers("transformers", [document for document, _, _ in REFUSED]), strict=True
    ):
        assert answer["error"]["code"] == code, (document, answer)
        assert answer["error"].get("pointer") == pointer, document


def test_layers_are_counted_as_they_are_made() -> None:
    """What no setting calls a number of layers is stopped too: a factor by which a network is deeper than another."""
    answer = answers("transformers", [{"model_type": "efficientnet", "depth_coefficient": 1e6}])[0]
    assert (answer["error"]["code"], answer["error"]["extra"]["limit"]) == ("limit_exceeded", "layers")


def test_settings_that_name_code_or_files_are_not_followed() -> None:
    """`auto_map`, quantisation and backbones to download change nothing that is built."""
    plain, marked = answers(
        "transformers",
        [
            config("bert"),
            config("bert", auto_map={"AutoModel": "evil--modeling.Evil"}, quantization_config={"quant_method": "gptq"},
                   _name_or_path="../../etc", attn_implementation="hub/kernel", trust_remote_code=True),
        ],
    )  # fmt: skip
    assert elements(plain["model"]) == elements(marked["model"]) == elements(built()["bert"]["model"])


def test_an_infinite_setting_is_a_number() -> None:
    """As transformers writes the limits of a Mamba's time steps."""
    sizes = {"hidden_size": 64, "num_heads": 8, "head_dim": 16, "state_size": 16, "num_hidden_layers": 1, "n_groups": 1}
    document = {"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"], "vocab_size": 100, "expand": 2, **sizes}
    text = json.dumps({**document, "time_step_limit": [0.0, float("inf")]})
    found, plain = answers("transformers", [text, document])
    assert elements(found["model"]) == elements(plain["model"]) > 0


def test_a_nested_configuration_keeps_its_type() -> None:
    """Models of several parts name the type of each."""
    document = {
        "model_type": "llava", "architectures": ["LlavaForConditionalGeneration"],
        "text_config": {"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128,
                        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 1000},
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": 32, "num_hidden_layers": 2,
                          "intermediate_size": 64, "num_attention_heads": 2, "image_size": 28, "patch_size": 14},
    }  # fmt: skip
    layers = answers("transformers", [document])[0]["model"]["layers"]
    assert {"Qwen2Attention", "CLIPEncoderLayer"} <= {layer["type"] for layer in layers}
