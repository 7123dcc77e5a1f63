"""Which JSON documents are a Keras architecture, and what is refused before any framework sees it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.config import Limits
from service.errors import InvalidSpec, LimitExceeded, MalformedJson
from service.formats import BuildRequest, Upload
from service.readers import keras_json
from service.source import BytesSource, Meter

LAYER = {"class_name": "Dense", "config": {"name": "d", "units": 3}}
WHOLE = {"class_name": "Sequential", "config": {"name": "s", "layers": [LAYER]}}


def upload(document: Any, limits: Limits | None = None) -> Upload:
    """An upload of one JSON file; bytes go in as they are."""
    meter = Meter(limits or Limits())
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Upload({"model.json": BytesSource(data, meter)}, meter)


def spec(document: Any) -> dict[str, Any]:
    request = keras_json.read(upload(document))
    assert isinstance(request, BuildRequest)
    assert (request.kind, request.dialect) == ("keras", "keras_config")
    return request.spec


@pytest.mark.parametrize(
    "document",
    [
        WHOLE,
        {"class_name": "Sequential", "config": [LAYER]},
        {"config": {"layers": [LAYER]}, "class_name": "Functional", "keras_version": "2.3.1"},
        [LAYER],
        {"name": "f", "layers": [LAYER], "input_layers": [], "output_layers": []},
        b"\xef\xbb\xbf \n" + json.dumps(WHOLE).encode(),
        b'{"class_name": "Sequential", "config": {"name": ',
    ],
)
def test_accepts_what_keras_writes(document: Any) -> None:
    """`to_json()` of all versions, a bare config, a bare list of layers, a byte order mark, and a cut document."""
    assert keras_json.accept(upload(document))


@pytest.mark.parametrize(
    "document",
    [
        {"framework": "keras", "input_shape": [3], "layers": [{"type": "Dense", "units": 3}]},
        {"modelTopology": {"class_name": "Sequential", "config": {}}, "weightsManifest": []},
        {"architectures": ["BertModel"], "hidden_size": 768},
        [],
        {},
        [1, 2],
        b"",
        b"PK\x03\x04",
        b"class_name config",
    ],
)
def test_leaves_other_documents_alone(document: Any) -> None:
    """Layer lists, TensorFlow.js, Hugging Face configs, other JSON and other content are not this format."""
    assert not keras_json.accept(upload(document))


def test_two_files_are_no_spec() -> None:
    """A spec is one document."""
    meter = Meter(Limits())
    parts = {name: BytesSource(json.dumps(WHOLE).encode(), meter) for name in ("a.json", "b.json")}
    assert not keras_json.accept(Upload(parts, meter))


def test_bare_configs_get_their_class() -> None:
    """A config without its class is functional where it names outputs, else Sequential."""
    assert spec([LAYER]) == {"class_name": "Sequential", "config": {"layers": [LAYER]}}
    functional = {"layers": [LAYER], "output_layers": [["d", 0, 0]]}
    assert spec(functional) == {"class_name": "Functional", "config": functional}
    assert spec(WHOLE) == WHOLE


def test_numbers_that_are_no_sizes_are_named() -> None:
    """Infinity by overflow and integers beyond 2^63 are refused with the place, NaN with the text."""
    large = {"class_name": "Sequential", "config": {"layers": [{**LAYER, "config": {"units": 2**63}}]}}
    with pytest.raises(InvalidSpec, match=r"config\.layers\[0\]\.config\.units is larger") as caught:
        keras_json.read(upload(large))
    assert caught.value.info.pointer == "config.layers[0].config.units"
    with pytest.raises(InvalidSpec, match="not a finite number"):
        keras_json.read(upload(b'[{"class_name": "Dense", "config": {"units": 1e999}}]'))
    with pytest.raises(MalformedJson):
        keras_json.read(upload(b'[{"class_name": "Dense", "config": {"units": NaN}}]'))


def test_bounds_on_bytes_layers_and_depth() -> None:
    """One byte, layer or level above the limit is a limit met, with its name."""
    size = len(json.dumps(WHOLE))
    keras_json.read(upload(WHOLE, Limits(spec_bytes=size)))
    cases = [
        (WHOLE, Limits(spec_bytes=size - 1), "spec_bytes"),
        ({"class_name": "Sequential", "config": {"layers": [LAYER] * 3}}, Limits(spec_layers=2), "spec_layers"),
        ([LAYER] * 3, Limits(spec_layers=2), "spec_layers"),
        (WHOLE, Limits(spec_depth=3), "json_depth"),
    ]
    for document, limits, name in cases:
        with pytest.raises(LimitExceeded) as caught:
            keras_json.read(upload(document, limits))
        assert caught.value.info.extra["limit"] == name


def test_a_document_above_the_size_limit_is_still_recognised() -> None:
    """It begins like Keras' JSON, so the answer is the limit and not an unknown format."""
    assert keras_json.accept(upload(WHOLE, Limits(spec_bytes=20)))


def test_dangers_go_with_the_request() -> None:
    """A Lambda's code is nothing that the builder could look into."""
    lam = {"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAAA=", None, None]}}
    request = keras_json.read(upload({"class_name": "Sequential", "config": {"name": "s", "layers": [lam]}}))
    assert [(danger.code, danger.path) for danger in request.dangers] == [("keras_lambda", "l")]
