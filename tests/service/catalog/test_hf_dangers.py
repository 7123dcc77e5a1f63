"""Code in a Hugging Face folder's documents: which keys name it, how deep, in which documents, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.catalog.hf_dangers import MAX_DANGERS, modules_named, of_document, read
from service.catalog.hf_folder import Folder
from service.config import Limits
from service.formats import Upload
from service.source import BytesSource, Meter


def told(document: Any) -> list[tuple[str, str, str | None]]:
    """Code, severity and place of each danger of a document."""
    return [(one.code, one.severity, one.path) for one in of_document(document, "config.json")]


KEYS = [
    ({"auto_map": {"AutoModel": "a/b--c.D"}}, [("remote_code", "medium", "/auto_map")]),
    ({"auto_map": {}}, []),
    ({"text": {"deep": [{"auto_map": {"A": "b"}}]}}, [("remote_code", "medium", "/text/deep/0/auto_map")]),
    ({"trust_remote_code": True}, [("remote_code", "medium", "/trust_remote_code")]),
    ({"trust_remote_code": 1}, []),
    ({"_attn_implementation": "owner/kernel"}, [("remote_attention", "high", "/_attn_implementation")]),
    ({"_attn_implementation": "sdpa"}, []),
    ({"_target_": "os.system"}, [("hydra_target", "high", "/_target_")]),
    ({"_target_": "hydra.utils.get_method"}, [("hydra_target", "high", "/_target_")]),
    ({"_target_": "nemo.collections.asr.Encoder"}, []),
    ({"_target_": "any.helper"}, [("hydra_target", "medium", "/_target_")]),
    ({"_target_": "any.Thing"}, [("hydra_target", "low", "/_target_")]),
    ({"target": "os.system"}, [("hydra_target", "medium", "/target")]),
    ({"target": "any.helper"}, []),
    ({"custom_generate": "owner/way"}, [("remote_code", "medium", "/custom_generate")]),
    ({"custom_generate": None}, []),
    ([{"idx": 0, "path": "", "type": "mine.Module"}], [("remote_code", "medium", "/0/type")]),
    ([{"idx": 0, "path": "", "type": "sentence_transformers.models.Pooling"}, {"type": "mine.Module"}], []),
    ({"_class_name": "P", "unet": ["mine", "X"], "vae": ["diffusers", "AutoencoderKL"],
      "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "scale": [1, 2], "x": [None, None]},
     [("remote_code", "medium", "/unet")]),
    ({"auto_mapping": {"parent_library": "torch.utils.cpp_extension", "base_model_class": "X"}},
     [("adapter_import", "high", "/auto_mapping")]),
    ({"_target_": "system"}, []),
    ({"_target_": ["os.system"]}, []),
    ({"auto_mapping": {"parent_library": "os", "base_model_class": "system"}},
     [("adapter_import", "high", "/auto_mapping")]),
    ({"auto_mapping": {"parent_library": "any", "base_model_class": "load"}},
     [("adapter_import", "high", "/auto_mapping")]),
    ({"auto_mapping": {"parent_library": "transformers.models.llama", "base_model_class": "LlamaModel"}}, []),
    ({"auto_mapping": {"parent_library": None}}, []),
    ({"auto_mapping": {"parent_library": "os"}}, [("adapter_import", "high", "/auto_mapping")]),
    ({"chat_template": "{{ x.__class__ }}"}, [("chat_template", "critical", "/chat_template")]),
    ({"chat_template": [{"name": "a", "template": "{{ cycler.next }}"}]},
     [("chat_template", "critical", "/chat_template/0/template")]),
    ({"chat_template": "{{ messages }}"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("document", "expected"), KEYS)
def test_keys_that_name_code(document: Any, expected: list[tuple[str, str, str | None]]) -> None:
    """By their values; others of the same key are none."""
    assert told(document) == expected


def test_a_great_number_is_cut_off() -> None:
    """As many as are listed, and no more."""
    assert len(told([{"_target_": "os.system"}] * (MAX_DANGERS + 50))) == MAX_DANGERS


def test_lesser_ones_do_not_take_the_place_of_grave_ones() -> None:
    """Each kind has its own number."""
    found = told([{"_target_": "os.system"}, *({"_target_": "any.Thing"} for _ in range(MAX_DANGERS + 50))])
    assert len(found) == MAX_DANGERS + 1
    assert ("hydra_target", "high", "/0/_target_") in found


@pytest.mark.parametrize(("document", "modules"), [
    ({"auto_map": {"AutoModel": "odd.Model", "AutoTokenizer": ["tok.Slow", None], "X": "a/b--c.D"}}, ["odd", "tok"]),
    ([{"path": "", "type": "mine.Module"}], ["mine"]),
    ({"_class_name": "P", "unet": ["mine", "X"]}, ["mine"]),
    ({"auto_map": None}, []), ({"auto_map": {"A": 1}}, []), ([], []),
])  # fmt: skip
def test_modules_that_a_document_names(document: Any, modules: list[str]) -> None:
    """Of the repository itself: files beside the document; not those of another repository."""
    assert list(modules_named(document)) == modules


def test_every_document_of_the_folder_is_looked_at() -> None:
    """Those that were read already, templates as text, others for this alone; one that cannot be read is none."""
    meter = Meter(Limits())
    texts = {
        "m/config.json": "", "m/processor_config.json": json.dumps({"auto_map": {"A": "b"}}),
        "m/chat_template.jinja": "{{ x.__class__ }}", "m/additional_chat_templates/tools.jinja": "{{ cycler.next }}",
        "m/generation_config.json": "[" * 1000,
    }  # fmt: skip
    upload = Upload({name: BytesSource(text.encode(), meter) for name, text in texts.items()}, meter)
    folder = Folder({}, (), (), None, {name.removeprefix("m/"): name for name in texts})
    found = read(upload, folder, {"config.json": {"_target_": "os.system"}})
    assert {(one.code, one.member) for one in found} == {
        ("hydra_target", "m/config.json"), ("remote_code", "m/processor_config.json"),
        ("chat_template", "m/chat_template.jinja"), ("chat_template", "m/additional_chat_templates/tools.jinja"),
    }  # fmt: skip
