"""Attacks by what surrounds a Keras model and by what its configuration costs: rows K13 to K17 of the catalogue."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.keras_files import archive, dense, hdf5, layer, sequential

ATTACKS = Attacks()

# K13 to K15: the archive around it


@ATTACKS("K13-01", source="GHSA-hqp4-2352-xf5r", expects=named("archive_path_escape", "high", "../marker"))
def member_climbs_out(trap: Trap) -> bytes:
    """A member that extraction would put beside the folder."""
    return archive(sequential(dense()), **{"../marker": b"x"})


@ATTACKS(
    "K14-01",
    source="https://huggingface.co/FrankLin00/keras-mfv-poc-001",
    expects=named("archive_path_escape", "high", "../../x"),
)
def asset_climbs_out(trap: Trap) -> bytes:
    """An asset whose name leaves its folder."""
    return archive(sequential(dense()), **{"assets/../../../x": b"x"})


@ATTACKS(
    "K15-01", source="https://github.com/keras-team/keras/pull/23010", expects=refused("limit_exceeded", "member_bytes")
)
def configuration_bomb(trap: Trap) -> bytes:
    """A hundred megabytes of spaces in a hundred kilobytes."""
    return archive(json.dumps(sequential(dense())).encode() + b" " * (100 << 20))


@ATTACKS("K15-02", source="https://github.com/keras-team/keras/pull/23101", expects=harmless())
def bomb_beside_the_model(trap: Trap) -> bytes:
    """A member that nobody reads is not inflated."""
    return archive(sequential(dense()), **{"assets/big.bin": b"\0" * (50 << 20)})


# K16, K17: configurations that cost


@ATTACKS("K16-01", source="https://github.com/keras-team/keras/issues", expects=refused("limit_exceeded", "json_depth"))
def nested_a_hundred_thousand_deep(trap: Trap) -> bytes:
    """Deeper than any parser's stack."""
    return archive(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)


@ATTACKS("K16-02", source="CWE-400", expects=harmless(complete=False))
def layers_that_feed_one_another(trap: Trap) -> bytes:
    """A cycle in the graph, of layers without weights."""

    def fed(name: str, source: str) -> dict[str, Any]:
        history = {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, 3], "dtype": "float32", "keras_history": [source, 0, 0]},
        }
        return {**dense(name), "name": name, "inbound_nodes": [{"args": [history], "kwargs": {}}]}

    config = {
        "name": "m",
        "layers": [fed("a", "b"), fed("b", "a")],
        "input_layers": [["a", 0, 0]],
        "output_layers": [["b", 0, 0]],
    }
    return archive({"module": "keras", "class_name": "Functional", "config": config, "registered_name": "Functional"})


@ATTACKS("K16-03", source="CWE-674", expects=harmless(complete=False))
def a_model_of_models_of_models(trap: Trap) -> bytes:
    """Twenty levels of wrapping around a layer whose weights lie elsewhere."""
    made = sequential(dense())
    for level in range(20):
        made["config"]["name"] = f"level{level}"
        made = sequential(made)
    return archive(made)


def odd_units(number: int, name: str, value: Any) -> None:
    """A Dense layer whose units are no sensible number; the weights beside it say how many there are."""
    ATTACKS.add(
        f"K16-{number}",
        f"units_{name}",
        "A size that is no size.",
        "CWE-20",
        lambda _trap: archive(sequential(dense(units=value))),
        harmless(),
    )


for at, (what, size) in enumerate(
    {"negative": -5, "a_float": 3.5, "a_text": "3", "huge": 10**18, "a_list": [3], "none": None, "true": True}.items()
):
    odd_units(10 + at, what, size)


@ATTACKS("K17-01", source="CWE-190", expects=refused("limit_exceeded"))
def numbers_that_multiply_beyond_all_bounds(trap: Trap) -> bytes:
    """A count of more than 4,300 digits makes json.dumps fail."""

    def write(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        for number in range(40):
            group.create_dataset(str(number), shape=(2**62,) * 8, chunks=(1,) * 8, dtype="f4")

    return hdf5(write)


@ATTACKS(
    "K17-02",
    source="https://docs.python.org/3/library/stdtypes.html#int-max-str-digits",
    expects=refused("malformed_json"),
)
def a_number_of_a_million_digits(trap: Trap) -> bytes:
    """Converting it takes quadratic time, or fails."""
    text = json.dumps(sequential(dense(units=123456789))).replace("123456789", "1" * 1_000_000)
    return archive(text.encode())


@ATTACKS("K17-03", source="RFC 8259", expects=harmless())
def not_a_number(trap: Trap) -> bytes:
    """Python writes Infinity, which is no JSON: it is read, and never written into an answer."""
    return archive(json.dumps(sequential(dense(units=float("inf")))).encode())


@ATTACKS("K17-04", source="CWE-436", expects=refused("malformed_json"))
def a_key_twice(trap: Trap) -> bytes:
    """Two readers see two classes."""
    text = json.dumps(sequential(dense())).replace(
        '"class_name": "Dense"', '"class_name": "Dense", "class_name": "Lambda"'
    )
    return archive(text.encode())


@ATTACKS("K17-05", source="CWE-436", expects=refused("inconsistent_archive"))
def two_configurations(trap: Trap) -> bytes:
    """Two members of one name: which is read depends on the reader."""
    out = io.BytesIO(archive(sequential(dense())))
    with zipfile.ZipFile(out, "a") as file:
        file.writestr("config.json", json.dumps(sequential(layer("Lambda", "evil", config={"function": "x"}))))
    return out.getvalue()
