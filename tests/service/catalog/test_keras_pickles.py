"""Pickles in texts of a Keras configuration: found however they are kept, bounded, and silent about honest texts."""

from __future__ import annotations

import base64

from service.catalog.keras_pickles import MOST_PICKLES, dangers_of_config
from service.config import Limits

CALL = b"cposix\nsystem\n(S'true'\ntR."


def found(value: object, class_name: str = "TorchModuleWrapper", times: int = 1) -> list[tuple[str, str | None]]:
    """(code, member) of the dangers in a model of such layers."""
    config = {"name": "x", "module": value}
    layers = [{"class_name": class_name, "module": "keras.layers", "config": config} for _ in range(times)]
    document = {"class_name": "Sequential", "config": {"layers": layers}}
    return [(danger.code, danger.member) for danger in dangers_of_config(document, "config.json", Limits())]


def test_a_pickle_is_found_as_it_is_and_in_base64() -> None:
    """Its member is the configuration and the place of the text in it."""
    place = "config.json!/config/layers/0/config/module"
    for value in (CALL.decode(), base64.b64encode(CALL).decode()):
        assert ("pickle_global", place) in found(value)


def test_texts_that_are_no_pickles_are_nothing() -> None:
    """A module that cannot be decoded is named as one, and nothing else is said of it."""
    for value in ("not base64 at all, just a text", "gAJ" + "A" * 50, "", "é" * 50, None, 5, [], {"a": "b" * 100}):
        assert {code for code, _ in found(value)} == {"keras_torch_module"}


def test_many_are_bounded() -> None:
    """So many are looked into; that the rest is not is said once."""
    codes = [code for code, _ in found(CALL.decode(), times=50)]
    assert codes.count("pickle_global") == MOST_PICKLES
    assert codes.count("pickle_unsearched") == 1
