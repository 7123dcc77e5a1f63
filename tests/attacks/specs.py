"""Attacks by architectures that are sent alone: rows K1 to K12 as JSON, and C1 as a configuration without weights."""

from __future__ import annotations

import json
from typing import Any

from tests.attacks.frame import Attacks, Outcome, harmless, named, refused
from tests.attacks.keras import bytecode, function
from tests.attacks.keras_files import dense, layer, sequential
from tests.attacks.keras_torch import calling, text_of

ATTACKS = Attacks()
BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 16, "max_position_embeddings": 8,
}  # fmt: skip
"""A configuration that the library builds in no time."""


def keras(id_: str, name: str, idea: str, source: str, make: Any, expects: Outcome) -> None:
    """A layer in a Sequential, as model.to_json() would write it."""
    ATTACKS.add(id_, name, idea, source, lambda trap: json.dumps(sequential(dense(), make(trap))).encode(), expects)


keras(
    "K1-30",
    "lambda_in_json_alone",
    "Bytecode in an architecture without weights.",
    "CVE-2024-3660",
    lambda trap: layer("Lambda", "evil", config={"function": [bytecode(trap), None, None], "function_type": "lambda"}),
    named("keras_lambda", "critical", "evil"),
)
keras(
    "K3-10",
    "gadget_in_json_alone",
    "A function of Keras that fetches a file.",
    "CVE-2025-8747",
    lambda trap: layer(
        "Lambda",
        "evil",
        config={
            "function": "keras.utils.get_file",
            "arguments": {"origin": trap.url},
            "output_shape": [3],
        },
    ),
    named("keras_gadget", "critical", "evil"),
)
keras(
    "K2-60",
    "foreign_function_in_json_alone",
    "An activation of another module.",
    "CVE-2025-1550",
    lambda trap: layer("Mine", "evil", config={"activation": function("os", "system")}, module="mine"),
    named("keras_foreign_module", "critical", "evil"),
)
keras(
    "K6-20",
    "pickle_in_json_alone",
    "A module of PyTorch, pickled, in a text.",
    "CVE-2025-49655",
    lambda trap: layer("TorchModuleWrapper", "evil", config={"module": text_of(calling(trap.command))}),
    named("pickle_global", "critical", "/config/layers/2/config/module evil @"),
)
keras(
    "K7-20",
    "vocabulary_in_json_alone",
    "A path that Keras reads when it makes the layer.",
    "CVE-2025-12058",
    lambda trap: layer("Mine", "evil", config={"vocabulary": str(trap.secret)}, module="mine"),
    named("keras_vocabulary_path", "high", "evil"),
)
keras(
    "K7-21",
    "vocabulary_of_a_known_layer_in_json_alone",
    "The layer is known, and not made with a path.",
    "CVE-2025-12058",
    lambda trap: layer("StringLookup", "evil", config={"vocabulary": str(trap.secret)}),
    refused("invalid_spec"),
)
keras(
    "K11-10",
    "saved_model_layer_in_json_alone",
    "A layer that loads a SavedModel by path.",
    "CVE-2026-1462",
    lambda trap: layer("TFSMLayer", "evil", config={"filepath": str(trap.folder)}),
    named("keras_saved_model_layer", "high", "evil"),
)
keras(
    "K12-20",
    "name_in_json_alone",
    "Keras makes a path of a layer's name.",
    "CVE-2026-12479",
    lambda _trap: layer("Dense", "../../../pwn", config={"units": 3}),
    named("keras_name_path", "high"),
)


def configuration(number: int, name: str, source: str, more: dict[str, Any], expects: Outcome) -> None:
    """A config.json, sent without any weights: the library itself builds it."""
    ATTACKS.add(
        f"C1-{number:02}",
        name,
        "A configuration without weights names code that loading a model with it runs.",
        source,
        lambda _trap: json.dumps({**BERT, **more}).encode(),
        expects,
    )


HUB = "https://huggingface.co/docs/transformers/custom_models"
configuration(30, "an_honest_configuration_alone", HUB, {}, harmless())
configuration(
    31,
    "auto_map_alone",
    HUB,
    {"auto_map": {"AutoModel": "evil/repo--modeling.Evil"}},
    named("remote_code", "medium", "/auto_map"),
)
configuration(
    32,
    "attention_from_a_repository_alone",
    "CVE-2026-4372",
    {"_attn_implementation_internal": "evil/kernel"},
    named("remote_attention", "high", "/_attn_implementation_internal"),
)
configuration(
    33,
    "hydra_target_alone",
    "CVE-2025-23304",
    {"encoder": {"_target_": "os.system", "_args_": ["id"]}},
    named("hydra_target", "high", "/encoder/_target_"),
)
configuration(34, "a_class_of_the_repository", HUB, {"model_type": "evil"}, refused("unsupported_feature"))


def listed(number: int, name: str, idea: str, make: Any, expects: Outcome) -> None:
    """A layer list for PyTorch, where only what is known is taken."""
    ATTACKS.add(f"J4-{number:02}", name, idea, "CVE-2025-23304", lambda _trap: json.dumps(make()).encode(), expects)


def linear(**more: Any) -> dict[str, Any]:
    """A list of one layer of PyTorch."""
    layers = [{"type": "Linear", "in_features": 4, "out_features": 3}]
    return {"framework": "torch", "input_shape": [4], "layers": layers, **more}


listed(20, "a_target_to_call", "A key of Hydra, which would call what it names.",
       lambda: linear(_target_="os.system"), refused("invalid_spec"))  # fmt: skip
listed(21, "a_layer_from_a_module", "A class by its full name outside PyTorch.",
       lambda: linear(layers=[{"type": "subprocess.Popen", "args": ["id"]}]), refused("invalid_spec"))  # fmt: skip
