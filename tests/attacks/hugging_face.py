"""Attacks by the documents beside weights: row C1 of the threat catalogue, and G2 for templates outside GGUF."""

from __future__ import annotations

import json
from typing import Any

from tests.attacks.frame import Attacks, Files, Trap, harmless, named
from tests.service.readers.hf_uploads import entry, safetensors

ATTACKS = Attacks()
WEIGHTS = safetensors({"model.embed_tokens.weight": entry(0, 128, [8, 4])}, bytes(128))
CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4, "vocab_size": 8}


def folder(**documents: Any) -> Files:
    """Weights with these documents beside them; `_` stands for the point before the ending."""
    held = {"config.json": CONFIG, **{name.replace("__", "."): value for name, value in documents.items()}}
    made = {
        name: value.encode() if isinstance(value, str) else json.dumps(value).encode() for name, value in held.items()
    }
    return {"model.safetensors": WEIGHTS, **made}


def in_config(number: int, name: str, source: str, more: dict[str, Any], expects: Any) -> None:
    """A configuration with something more in it."""
    ATTACKS.add(
        f"C1-{number:02}",
        name,
        "The configuration names code that loading the model runs.",
        source,
        lambda _trap: folder(config__json={**CONFIG, **more}),
        expects,
    )


in_config(
    1,
    "auto_map",
    "https://huggingface.co/docs/transformers/custom_models",
    {"auto_map": {"AutoModel": "evil/repo--modeling.Evil"}},
    named("remote_code", "medium", "config.json"),
)
in_config(
    2,
    "attention_from_a_repository",
    "CVE-2026-4372",
    {"_attn_implementation_internal": "evil/kernel"},
    named("remote_attention", "high", "config.json"),
)
in_config(
    3,
    "hydra_target",
    "CVE-2025-23304",
    {"encoder": {"_target_": "os.system", "_args_": ["id"]}},
    named("hydra_target", "high", "config.json"),
)
in_config(
    4,
    "hydra_target_of_builtins",
    "CVE-2025-23304",
    {"a": [{"b": {"_target_": "builtins.exec"}}]},
    named("hydra_target", "high", "config.json"),
)
in_config(
    5, "trusts_remote_code", "CVE-2026-5241", {"trust_remote_code": True}, named("remote_code", "medium", "config.json")
)
in_config(
    6,
    "names_of_built_in_attention",
    "https://huggingface.co/docs/transformers/attention_interface",
    {"_attn_implementation": "sdpa", "preprocessor": {"_target_": "nemo.collections.asr.Preprocessor"}},
    harmless(),
)


@ATTACKS(
    "C1-10",
    source="https://huggingface.co/docs/transformers/custom_models",
    expects=named("remote_code", "medium", "tokenizer_config.json"),
)
def auto_map_of_the_tokenizer(trap: Trap) -> Files:
    """Code for the tokenizer, not the model."""
    return folder(tokenizer_config__json={"auto_map": {"AutoTokenizer": ["evil/repo--tok.Evil", None]}})


@ATTACKS("G2-20", source="CVE-2024-34359", expects=named("chat_template", "critical", "tokenizer_config.json"))
def template_in_the_tokenizer(trap: Trap) -> Files:
    """A chat template that leaves the sandbox."""
    return folder(tokenizer_config__json={"chat_template": "{{ ''.__class__.__mro__[1].__subclasses__() }}"})


@ATTACKS("G2-21", source="CVE-2026-5760", expects=named("chat_template", "critical", "tokenizer_config.json"))
def template_among_several(trap: Trap) -> Files:
    """The second of several templates."""
    several = [
        {"name": "default", "template": "{{ messages }}"},
        {"name": "tool_use", "template": "{{ cycler.__init__ }}"},
    ]
    return folder(tokenizer_config__json={"chat_template": several})


@ATTACKS("G2-22", source="CVE-2024-34359", expects=named("chat_template", "critical", "chat_template.jinja"))
def template_in_a_file_of_its_own(trap: Trap) -> Files:
    """As newer models have it."""
    return folder(chat_template__jinja="{% for m in messages %}{{ ''['__cl' ~ 'ass__'] }}{% endfor %}")


@ATTACKS("G2-23", source="https://huggingface.co/docs/transformers/chat_templating", expects=harmless())
def an_honest_template(trap: Trap) -> Files:
    """A conversation is formatted, and a tool is called open()."""
    text = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}Tools: open(path), eval(code)"
    return folder(tokenizer_config__json={"chat_template": text}, chat_template__jinja=text)


@ATTACKS("C1-11", source="CWE-674", expects=harmless())
def a_document_that_cannot_be_read(trap: Trap) -> Files:
    """Deeper than any document may be: it is named as unreadable, and the weights are described."""
    return folder(tokenizer_config__json="[" * 10_000)


def beside(number: int, row: str, name: str, document: str, value: Any, expects: Any) -> None:
    """Code that a document names which is beside the configuration."""
    key = document.replace(".", "__")
    idea = "Documents for the processor, the generation and the adapter name code as the configuration does."
    source = "https://huggingface.co/docs/transformers/custom_models"
    ATTACKS.add(f"{row}-{number}", name, idea, source, lambda _trap: folder(**{key: value}), expects)


CODE_OF = {"auto_map": {"AutoProcessor": "evil/repo--processing.Evil"}}
for at, document in enumerate(
    ["generation_config.json", "processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"],
    start=40,
):
    beside(
        at,
        "C1",
        f"code_in_the_{document.partition('.')[0]}",
        document,
        CODE_OF,
        named("remote_code", "medium", document),
    )
BREAKS_OUT = "{{ ''.__class__.__mro__ }}"
beside(
    70,
    "G2",
    "template_of_the_processor",
    "processor_config.json",
    {"chat_template": BREAKS_OUT},
    named("chat_template", "critical", "processor_config.json"),
)
beside(
    71,
    "G2",
    "template_in_a_document_of_its_own",
    "chat_template.json",
    {"chat_template": BREAKS_OUT},
    named("chat_template", "critical", "chat_template.json"),
)
beside(
    72,
    "G2",
    "template_in_a_folder_of_templates",
    "additional_chat_templates/tool_use.jinja",
    BREAKS_OUT,
    named("chat_template", "critical", "additional_chat_templates/tool_use.jinja"),
)
in_config(
    45,
    "hydra_method",
    "CVE-2025-23304",
    {"a": {"_target_": "hydra.utils.get_method", "path": "os.system"}},
    named("hydra_target", "high", "config.json"),
)
in_config(
    46,
    "hydra_function_of_a_library",
    "CVE-2025-23304",
    {"a": {"_target_": "any.library.helpers.instantiate"}},
    named("hydra_target", "high", "config.json"),
)


def adapter(number: int, name: str, idea: str, mapping: dict[str, str], expects: Any) -> None:
    """An adapter that says which module has the class of the model that it is for."""
    config = {"peft_type": "LORA", "r": 2, "auto_mapping": mapping}
    pair = {f"base_model.model.q.lora_{side}.weight": entry(at, at + 32, shape) for side, at, shape in SIDES}
    files = {
        "adapter_config.json": json.dumps(config).encode(),
        "adapter_model.safetensors": safetensors(pair, bytes(64)),
    }
    ATTACKS.add(f"C1-{number}", name, idea, "https://huggingface.co/docs/peft", lambda _trap: files, expects)


SIDES: list[tuple[str, int, list[int]]] = [("A", 0, [2, 4]), ("B", 32, [4, 2])]
adapter(
    47,
    "an_adapter_that_imports",
    "Any module, and any name in it.",
    {"base_model_class": "system", "parent_library": "os"},
    named("adapter_import", "high", "adapter_config.json"),
)
adapter(
    48,
    "an_adapter_of_a_model_of_ones_own",
    "A class of transformers: not an attack.",
    {"base_model_class": "LlamaModel", "parent_library": "transformers.models.llama.modeling_llama"},
    harmless(),
)
