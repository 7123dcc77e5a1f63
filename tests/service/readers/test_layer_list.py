"""Which JSON documents are a layer list; the published schema and the documentation agree with what is built."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service.config import Limits
from service.errors import InvalidSpec, MalformedJson
from service.formats import BuildRequest, Upload
from service.readers import layer_list
from service.source import BytesSource, Meter
from tests.building import answer
from tests.corpus import ROOT
from tests.service.builders import test_keras_lists, test_torch_lists

SCHEMA = json.loads((ROOT / "schemas" / "layer_list.schema.json").read_text())
DOCUMENTED = [
    json.loads(block)
    for block in re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "spec.md").read_text(), re.DOTALL)
    if '"framework"' in block
]
LIST = {"framework": "torch", "input_shape": [3], "layers": [{"type": "Linear", "out_features": 2}]}


def upload(document: Any) -> Upload:
    """An upload of one JSON file; bytes go in as they are."""
    meter = Meter(Limits())
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Upload({"spec": BytesSource(data, meter)}, meter)


@pytest.mark.parametrize(
    "document",
    [LIST, {"layers": [{"type": "Dense"}]}, {"framework": "jax", "layers": []}, b'{"framework": 1, "input_shape": ['],
)
def test_accepts_layer_lists(document: Any) -> None:
    """Also incomplete, wrong and cut ones: their mistakes are better named than called an unknown format."""
    assert layer_list.accept(upload(document))


@pytest.mark.parametrize("document", [{}, [], {"layers": [1]}, {"layers": 3}, {"framework": "pt"}, b"hello", b""])
def test_leaves_other_documents_alone(document: Any) -> None:
    """JSON without layers of a type is not this format."""
    assert not layer_list.accept(upload(document))


def test_hands_the_list_to_its_framework() -> None:
    """The framework named in the list is the worker kind; the list goes on as it is."""
    assert layer_list.read(upload(LIST)) == BuildRequest(kind="torch", dialect="layer_list", spec=LIST)


def test_names_a_wrong_framework() -> None:
    """Another framework, or none, is an invalid spec at `framework`."""
    for document in ({**LIST, "framework": "jax"}, {"layers": LIST["layers"]}):
        with pytest.raises(InvalidSpec) as caught:
            layer_list.read(upload(document))
        assert caught.value.info.pointer == "framework"


def test_a_cut_list_is_malformed() -> None:
    """The answer to a cut document says where it ends."""
    with pytest.raises(MalformedJson) as caught:
        layer_list.read(upload(json.dumps(LIST).encode()[:-5]))
    assert caught.value.info.offset is not None


@pytest.mark.parametrize("spec", [*test_keras_lists.GOOD.values(), *test_torch_lists.GOOD.values(), *DOCUMENTED])
def test_the_schema_takes_what_is_built(spec: dict[str, Any]) -> None:
    """Every list that the builders' tests build, and every one in the documentation, is valid by the schema."""
    jsonschema.Draft202012Validator(SCHEMA).validate(spec)


@pytest.mark.parametrize("spec", DOCUMENTED)
def test_documented_lists_are_built(spec: dict[str, Any]) -> None:
    """Every list in the documentation gives a complete model."""
    assert answer(spec["framework"], spec)["model"]["complete"]


def test_the_schema_refuses_what_the_grammar_refuses() -> None:
    """Unknown keys, sizes below 1, both kinds of inputs, layers without a type."""
    wrong: list[dict[str, Any]] = [
        {**LIST, "output": "x"}, {**LIST, "input_shape": [0]}, {**LIST, "inputs": {"a": [1]}},
        {**LIST, "layers": [{"units": 3}]}, {**LIST, "layers": []}, {**LIST, "framework": "jax"},
    ]  # fmt: skip
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert [validator.is_valid(spec) for spec in wrong] == [False] * len(wrong)


def test_the_schema_is_a_schema() -> None:
    """It is valid JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert Path(SCHEMA["$id"]).name == "layer_list.schema.json"
