"""Attacks by PyTorch modules inside Keras files: row K6 of the threat catalogue."""

from __future__ import annotations

import base64
import io
import zipfile
from typing import Any

from tests.attacks.frame import Attacks, Trap, harmless, named
from tests.attacks.keras_files import archive, dense, layer, sequential

ATTACKS = Attacks()


def calling(command: str) -> bytes:
    """A pickle that runs a command."""
    return b"\x80\x02cposix\nsystem\nX" + len(command).to_bytes(4, "little") + command.encode() + b"\x85R."


def text_of(data: bytes) -> str:
    """In base64."""
    return base64.b64encode(data).decode()


@ATTACKS("K6-01", source="CVE-2025-49655", expects=named("keras_torch_module", "critical", "evil"))
def torch_module_wrapper(trap: Trap) -> bytes:
    """A layer that unpickles what it holds."""
    module = text_of(calling(trap.command))
    return archive(sequential(dense(), layer("TorchModuleWrapper", "evil", config={"module": module})))


def wrapped(number: int, name: str, idea: str, make: Any, expects: Any, class_name: str = "TorchModuleWrapper") -> None:
    """A layer of PyTorch inside Keras; `make` gives the text or object that it holds."""
    ATTACKS.add(
        f"K6-{number:02}",
        name,
        idea,
        "CVE-2025-49655",
        lambda trap: archive(sequential(dense(), layer(class_name, "evil", config={"module": make(trap)}))),
        expects,
    )


def saved_module(trap: Trap) -> bytes:
    """As torch.save writes one: a zip with a pickle."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(zipfile.ZipInfo("archive/data.pkl"), calling(trap.command))
        file.writestr(zipfile.ZipInfo("archive/version"), "3\n")
    return out.getvalue()


INSIDE = named("pickle_global", "critical", "config.json!/config/layers/2/config/module evil @")
wrapped(
    2,
    "the_call_in_its_pickle",
    "The base64 pickle is decoded.",
    lambda trap: text_of(calling(trap.command)),
    INSIDE,
)
wrapped(
    3,
    "the_call_in_its_archive",
    "The module is a zip, as torch.save writes it.",
    lambda trap: text_of(saved_module(trap)),
    named("pickle_global", "critical", "config.json!/config/layers/2/config/module!/archive/data.pkl evil @"),
)
wrapped(
    4,
    "base64_with_other_signs_in_it",
    "Python passes over signs that are no base64.",
    lambda trap: "~~ " + "!\n".join(text_of(calling(trap.command))),
    INSIDE,
)
wrapped(
    5,
    "a_pickle_as_bytes",
    "Keras 3.0 wrote bytes as an object of its own.",
    lambda trap: {
        "class_name": "__bytes__",
        "config": {"value": f"cposix\nsystem\n(S'{trap.command}'\ntR."},
    },
    named("pickle_global", "critical", "config.json!/config/layers/2/config/module/config/value evil @"),
)
wrapped(
    6,
    "a_pickle_in_another_layer",
    "Not the wrapper but a layer of the user's own unpickles it.",
    lambda trap: {"state": text_of(calling(trap.command))},
    named("pickle_global", "critical", "config.json!/config/layers/2/config/module/state evil @"),
    "Mine",
)
wrapped(
    7,
    "a_pickle_that_breaks_off",
    "It has run before it breaks.",
    lambda trap: text_of(calling(trap.command)[:-2] + b"R\xff"),
    INSIDE,
)


@ATTACKS("K6-08", source="CVE-2025-49655", expects=named("pickle_unsearched", "high", "config.json!/"))
def a_thousand_pickled_modules(trap: Trap) -> bytes:
    """More than are looked into: that is said, and costs nothing."""
    made = [layer("TorchModuleWrapper", f"e{at}", config={"module": text_of(calling("true"))}) for at in range(1000)]
    return archive(sequential(dense(), *made))


@ATTACKS("K6-09", source="https://keras.io/api/layers/backend_specific_layers/", expects=harmless())
def texts_that_begin_like_pickles(trap: Trap) -> bytes:
    """Descriptions and identifiers that only begin so."""
    return archive(sequential(layer("Dense", "dense", config={"units": 3, "note": "gAJust a long description of it"})))
