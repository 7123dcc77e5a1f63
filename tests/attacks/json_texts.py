"""Attacks by JSON documents: rows J1 to J4 of the threat catalogue."""

from __future__ import annotations

import json
from typing import Any

from tests.attacks.frame import Attacks, Trap, harmless, refused

ATTACKS = Attacks()
PYTHON = "https://docs.python.org/3/library/json.html"


def spec(*layers: Any, **more: Any) -> dict[str, Any]:
    """An architecture in our own list of layers."""
    return {"framework": "torch", "input_shape": [4], "layers": list(layers), **more}


LINEAR = {"type": "Linear", "in_features": 4, "out_features": 3}


def text(number: str, name: str, idea: str, make: Any, expects: Any, source: str = PYTHON) -> None:
    """One document, as the bytes that it is."""
    ATTACKS.add(number, name, idea, source, lambda _trap: make(), expects)


def around(inner: str) -> bytes:
    """A spec with something in it."""
    return json.dumps(spec(LINEAR, note="HERE")).replace('"HERE"', inner).encode()


text(
    "J1-01",
    "nested_a_hundred_thousand_deep",
    "Deeper than any stack.",
    lambda: around("[" * 100_000 + "]" * 100_000),
    refused("limit_exceeded", "json_depth"),
)
text(
    "J1-02",
    "nested_and_never_closed",
    "Only openings.",
    lambda: b'{"layers":' * 50_000,
    refused("unknown_format"),
)
text(
    "J1-03",
    "a_number_of_a_million_digits",
    "Converting it is quadratic, or fails.",
    lambda: around("1" * 1_000_000),
    refused("malformed_json"),
)
text(
    "J1-04",
    "three_hundred_thousand_empty_lists",
    "Each takes fifty-six bytes of memory and three of the file.",
    lambda: around("[" + "[]," * 300_000 + "[]]"),
    refused("invalid_spec"),
)
text(
    "J1-05",
    "a_hundred_thousand_keys",
    "Each is kept until all are read.",
    lambda: around("{" + ",".join(f'"{at}":0' for at in range(90_000)) + "}"),
    refused("invalid_spec"),
)
text(
    "J1-06",
    "a_long_text_of_escapes",
    "Six bytes for each character.",
    lambda: around('"' + "\\u0041" * 150_000 + '"'),
    refused("invalid_spec"),
)
text("J2-01", "infinity", "A number that is none.", lambda: around("Infinity"), refused("malformed_json"))
text(
    "J2-02",
    "a_size_of_1e999",
    "It becomes infinity, and int() of that fails.",
    lambda: json.dumps(spec({**LINEAR, "out_features": 7})).replace("7", "1e999").encode(),
    refused("invalid_spec"),
)
text(
    "J2-03",
    "a_size_of_10_to_the_18",
    "More than any memory.",
    lambda: json.dumps(spec({**LINEAR, "out_features": 10**18})).encode(),
    refused("invalid_spec"),
)
text(
    "J2-04",
    "a_size_of_10_to_the_30",
    "More than 64 bits.",
    lambda: json.dumps(spec({**LINEAR, "out_features": 10**30})).encode(),
    refused("invalid_spec"),
)
text(
    "J3-01",
    "a_key_twice",
    "Two readers see two layers.",
    lambda: b'{"framework":"torch","layers":[{"type":"Linear","type":"Evil","in_features":4,"out_features":3}]}',
    refused("malformed_json"),
)
text(
    "J3-02",
    "half_a_character",
    "A lone surrogate cannot be written into an answer.",
    lambda: json.dumps(spec({**LINEAR, "name": "\ud800"})).encode(),
    refused("invalid_spec"),
)
text(
    "J3-03",
    "a_mark_at_the_beginning",
    "A byte order mark.",
    lambda: b"\xef\xbb\xbf" + json.dumps(spec(LINEAR)).encode(),
    harmless(),
)
text(
    "J3-04",
    "sixteen_bits",
    "The same in UTF-16.",
    lambda: json.dumps(spec(LINEAR)).encode("utf-16"),
    refused("unknown_format"),
)
text(
    "J3-05",
    "bytes_that_are_no_text",
    "Invalid UTF-8 in a name.",
    lambda: json.dumps(spec({**LINEAR, "name": "HERE"})).encode().replace(b"HERE", b"\xff\xfe"),
    refused("malformed_json"),
)
text(
    "J4-01",
    "an_unknown_layer",
    "A class that is not known.",
    lambda: json.dumps(spec({"type": "os.system"})).encode(),
    refused("invalid_spec"),
)
text(
    "J4-02",
    "an_argument_of_another_type",
    "A list where a number belongs.",
    lambda: json.dumps(spec({**LINEAR, "in_features": [4]})).encode(),
    refused("invalid_spec"),
)
text(
    "J4-03",
    "layers_are_no_list",
    "A text where layers belong.",
    lambda: json.dumps({"framework": "torch", "layers": "x"}).encode(),
    refused("invalid_spec"),
)
text(
    "J4-04",
    "more_layers_than_allowed",
    "A hundred thousand of them.",
    lambda: json.dumps(spec(*[{"type": "ReLU"}] * 60_000)).encode(),
    refused("limit_exceeded", "spec_layers"),
)
text(
    "J4-05",
    "an_unknown_key",
    "A key that would fetch a model.",
    lambda: json.dumps(spec(LINEAR, model_url="http://127.0.0.1:9/x")).encode(),
    refused("invalid_spec"),
    "GHSA-3f6c-7fw2-ppm4",
)
text("J4-06", "nothing", "No layers at all.", lambda: json.dumps(spec()).encode(), refused("invalid_spec"))


@ATTACKS("W1-01", source="GHSA-3f6c-7fw2-ppm4", expects=refused("unknown_format"))
def an_address_in_the_place_of_a_model(trap: Trap) -> bytes:
    """There is no input that is an address."""
    return json.dumps({"model_url": trap.url, "url": trap.url}).encode()
