"""Attacks by other places and other words of a Keras configuration: rows K2, K3 and K5 of the catalogue."""

from __future__ import annotations

import json
from typing import Any

from tests.attacks.frame import Attacks, Outcome, Trap, harmless, named, refused
from tests.attacks.keras_files import archive, dense, layer, legacy, sequential

ATTACKS = Attacks()
GHSA = "CVE-2025-1550"


def attack(id_: str, name: str, idea: str, make: Any, expects: Outcome, source: str = GHSA) -> None:
    """One of these."""
    ATTACKS.add(id_, name, idea, source, make, expects)


# Keras: other places, other words

FOREIGN = named("keras_foreign_module", "critical", "config.json")
EVIL = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}


def with_part(key: str, value: Any) -> bytes:
    """A model with something more beside its layers."""
    return archive({**sequential(dense()), key: value})


attack(
    "K2-70",
    "in_the_loss",
    "The compile configuration names a function.",
    lambda _: with_part("compile_config", {"optimizer": "adam", "loss": EVIL}),
    FOREIGN,
    GHSA,
)
attack(
    "K2-71",
    "in_the_optimizer",
    "As does the optimizer.",
    lambda _: with_part("compile_config", {"optimizer": {"class_name": "Adam", "config": {"clip": EVIL}}}),
    FOREIGN,
    GHSA,
)
attack(
    "K2-72",
    "in_the_build_configuration",
    "What a layer is built with.",
    lambda _: archive(sequential({**dense(), "build_config": {"input_shape": EVIL}})),
    FOREIGN,
    GHSA,
)
attack(
    "K2-73",
    "in_an_initializer_of_a_wrapped_layer",
    "Three levels deep.",
    lambda _: archive(
        sequential(
            layer(
                "TimeDistributed",
                "t",
                config={"layer": {**dense("d"), "config": {"name": "d", "units": 3, "kernel_initializer": EVIL}}},
            )
        )
    ),
    FOREIGN,
    GHSA,
)
attack(
    "K2-74",
    "in_the_arguments_of_a_call",
    "An argument of a layer's call.",
    lambda _: archive(sequential({**dense(), "inbound_nodes": [{"args": [], "kwargs": {"mask": EVIL}}]})),
    FOREIGN,
    GHSA,
)
attack(
    "K2-75",
    "in_the_training_configuration_of_a_legacy_file",
    "A metric of the old format.",
    lambda _: legacy(sequential(dense()), {"loss": "mse", "metrics": [EVIL], "optimizer_config": {}}),
    named("keras_foreign_module", "critical", "training_config"),
    GHSA,
)
attack(
    "K2-76",
    "a_module_with_capitals_and_points",
    "`OS`, and a name with points.",
    lambda _: archive(sequential(layer("os.system", "x", module="builtins"))),
    FOREIGN,
    GHSA,
)
attack(
    "K2-77",
    "a_function_that_keras_imports",
    "What a module of Keras imports from Python is had by its name.",
    lambda _: archive(
        sequential(
            {
                **dense(),
                "config": {
                    "name": "d",
                    "activation": {
                        "module": "keras.src.utils.file_utils",
                        "class_name": "function",
                        "config": "urlretrieve",
                    },
                },
            }
        )
    ),
    named("keras_gadget", "critical", "config.json"),
    GHSA,
)
for at, (module, name) in enumerate(
    [
        ("keras.src.utils.file_utils", "get_file"),
        ("keras.utils", "get_file"),
        ("keras.src.saving.serialization_lib", "enable_unsafe_deserialization"),
        ("keras.src.saving.saving_api", "load_model"),
        ("keras.models", "load_model"),
        ("keras.src.saving.saving_lib", "load_weights_only"),
        ("keras.src.saving.serialization_lib", "deserialize_keras_object"),
        ("keras.src.backend.common.global_state", "set_global_attribute"),
        ("keras.src.utils.python_utils", "func_load"),
        ("keras.preprocessing.image", "load_img"),
    ],
    start=20,
):
    ATTACKS.add(
        f"K3-{at}",
        f"{name}_of_{module.replace('.', '_')}",
        "A function of Keras itself that loads, fetches or unlocks.",
        "CVE-2025-8747",
        lambda _trap, module=module, name=name: archive(
            sequential({"module": module, "class_name": "function", "config": name, "registered_name": name})
        ),
        named("keras_gadget", "critical", "config.json"),
    )


@ATTACKS("K2-78", source=GHSA, expects=refused("malformed_json"))
def a_configuration_with_keys_twice(trap: Trap) -> bytes:
    """The first `module` is Keras', the last is not."""
    text = json.dumps(sequential(dense()))
    return archive(text.replace('"module": "keras.layers"', '"module": "keras.layers", "module": "os"').encode())


def node_text(op: str) -> str:
    """A node as a layer of TensorFlow's operations holds it."""
    return json.dumps({"name": "n", "op": op, "input": ["x"], "attr": {}})


def operation_layer(op: str) -> Any:
    """A layer made of one operation."""
    return layer("TensorFlowOpLayer", "x", module="keras", config={"node_def": node_text(op), "constants": {}})


READING = named("keras_file_operation", "high", "model_config")
attack(
    "K5-10",
    "an_operation_as_a_layer",
    "The layer holds a node of TensorFlow, as JSON in a text.",
    lambda _: legacy(sequential(dense(), operation_layer("ReadFile"))),
    READING,
    "keras/src/legacy/layers (TensorFlowOpLayer)",
)
attack(
    "K5-11",
    "another_operation_as_a_layer",
    "One that is not called as its function is.",
    lambda _: legacy(sequential(dense(), operation_layer("TextLineDataset"))),
    READING,
    "keras/src/legacy/layers (TensorFlowOpLayer)",
)
attack(
    "K5-12",
    "an_operation_that_computes",
    "The same with a sum: not an attack.",
    lambda _: legacy(sequential(dense(), operation_layer("AddV2"))),
    harmless(),
    "keras/src/legacy/layers (TensorFlowOpLayer)",
)
attack(
    "K2-80",
    "the_class_of_a_type",
    "A type of TensorFlow is made by the name of its class, whichever module that is of.",
    lambda _: archive(
        sequential(
            {
                **dense(),
                "config": {
                    "name": "dense",
                    "units": 3,
                    "spec": {
                        "class_name": "__typespec__",
                        "spec_name": "system",
                        "module": "os",
                        "config": ["id"],
                        "registered_name": None,
                    },
                },
            }
        )
    ),
    FOREIGN,
    "keras/src/saving/serialization_lib.py",
)
