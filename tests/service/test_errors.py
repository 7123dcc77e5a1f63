"""The error tree: stable unique codes, data that crosses the wall and comes back the same."""

from __future__ import annotations

import pytest

from service.errors import BY_CODE, InputError, LimitExceeded, MalformedFile, WeighbridgeError, _tree, from_info


def test_codes_are_unique() -> None:
    """One class, one code."""
    kinds = _tree(WeighbridgeError)
    assert len({kind.code for kind in kinds}) == len(kinds)


@pytest.mark.parametrize(
    "kind", [kind for kind in _tree(WeighbridgeError) if kind is not LimitExceeded], ids=lambda kind: kind.code
)
def test_an_error_survives_the_wall(kind: type[WeighbridgeError]) -> None:
    """Its data make the same error again."""
    error = kind("It broke.", member="a", offset=7, pointer="layers[0]", why="because")
    again = from_info(error.info)
    assert type(again) is kind
    assert again.info == error.info
    assert str(again) == "It broke."


def test_limits_name_themselves() -> None:
    """Which limit, its maximum, and the value that met it."""
    error = LimitExceeded("layers", 10, "Too many.", value=11)
    assert error.info.extra == {"limit": "layers", "maximum": 10, "value": 11}
    assert isinstance(from_info(error.info), LimitExceeded)


def test_places_nest() -> None:
    """An error inside an inner container is found from the outside."""
    error = MalformedFile("Broken.", member="layers/dense", offset=3).within("model.weights.h5")
    assert error.info.member == "model.weights.h5!/layers/dense"


def test_unknown_codes_become_the_base_error() -> None:
    """A newer worker cannot break an older parent."""
    info = InputError("x").info
    assert type(from_info(type(info)(code="new_code", detail="x"))) is WeighbridgeError
    assert BY_CODE["malformed_file"] is MalformedFile


def test_names_out_of_files_can_always_be_said() -> None:
    """Half of a character in a member's name or a pointer would break the answer that names it."""
    error = MalformedFile("broken", member="a\ud800", pointer="b\udfff").within("c\ud900")
    assert (error.info.member, error.info.pointer) == ("c?!/a?", "b?")
