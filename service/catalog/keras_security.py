"""What in a Keras configuration could run code or reach outside when Keras loads it. Listed, never resolved.

Knows Keras' serialization and the published attacks on it; must not know files. An allow-list: names in Keras' own
packages pass unless they are known gadgets, everything else is named in the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from service.catalog.code_names import runs_code
from service.catalog.keras_classes import KIND_OF_CLASS, is_keras_module
from service.catalog.keras_parts import is_part
from service.catalog.pickle_names import is_standard
from service.catalog.tf_ops import touches
from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Frozen, Severity

MAX_DANGERS = 500
"""Enough to see what a file is; a million forged layers need not fill the report."""


class _Known(Frozen, frozen=True, kw_only=True):
    """One kind of danger, before it is found anywhere."""

    code: str
    severity: Severity
    what: Message
    reference: str | None = None


_BYTECODE = _Known(
    code="keras_lambda",
    severity="critical",
    what=msg("Python bytecode that runs when Keras loads or calls this."),
    reference="CVE-2024-3660",
)
_NAMED_FUNCTION = _Known(
    code="keras_lambda", severity="medium", what=msg("This layer calls a function that the file names.")
)
_GADGET = _Known(
    code="keras_gadget",
    severity="critical",
    what=msg("A function of Keras that fetches, loads or unlocks, called by the configuration."),
    reference="CVE-2025-8747",
)
_NO_PART = _Known(
    code="keras_gadget",
    severity="high",
    what=msg("A name inside Keras that is no part of a model, which loading may import and call."),
    reference="CVE-2025-8747",
)
_SAFE_MODE = _Known(
    code="keras_safe_mode_off",
    severity="critical",
    what=msg("The configuration switches Keras' safe mode off."),
    reference="CVE-2025-9906",
)
_CODE_MODULE = _Known(
    code="keras_foreign_module",
    severity="critical",
    what=msg("Loading may import this module of Python itself and call what is named in it."),
    reference="CVE-2025-1550",
)
_CODE_NAME = _Known(
    code="keras_foreign_module",
    severity="critical",
    what=msg("Loading may import this module and call what is named in it, which can run code."),
    reference="CVE-2025-1550",
)
_OTHER_MODULE = _Known(
    code="keras_foreign_module",
    severity="medium",
    what=msg("Loading may import this module, which is not part of Keras."),
    reference="CVE-2025-1550",
)
_OWN_CLASS = _Known(
    code="keras_custom_object",
    severity="info",
    what=msg("A class of the user's own: loading needs and runs the user's code."),
)
_TWO_NAMES = _Known(
    code="keras_name_mismatch",
    severity="high",
    what=msg("Registered name and class name disagree: what is shown is not what would be loaded."),
    reference="CVE-2025-1550",
)
_NAME_PATH = _Known(
    code="keras_name_path",
    severity="high",
    what=msg("This name would leave its folder when Keras turns it into a path."),
    reference="CVE-2026-12479",
)
_VOCABULARY = _Known(
    code="keras_vocabulary_path",
    severity="high",
    what=msg("Keras reads this path or address when it makes the layer."),
    reference="CVE-2025-12058",
)
_FILE_OPERATION = _Known(
    code="keras_file_operation", severity="high", what=msg("This operation reads or writes files, or calls Python.")
)
_ELSEWHERE = _Known(code="keras_path_or_url", severity="medium", what=msg("A path or address outside the file."))

_FUNCTIONS_INSIDE = _Known(
    code="keras_function_layer", severity="high", what=msg("This layer is made of serialized functions.")
)
_FOREIGN_LAYERS = {
    "TorchModuleWrapper": _Known(
        code="keras_torch_module",
        severity="critical",
        what=msg("This layer carries a pickled PyTorch module."),
        reference="CVE-2025-49655",
    ),
    "TFSMLayer": _Known(
        code="keras_saved_model_layer",
        severity="high",
        what=msg("This layer loads a SavedModel from a path when it is made."),
        reference="CVE-2026-1462",
    ),
    "JaxLayer": _FUNCTIONS_INSIDE,
    "FlaxLayer": _FUNCTIONS_INSIDE,
}


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_GADGETS = _words(
    "get_file extract_archive enable_unsafe_deserialization set_global_attribute load_model load_weights "
    "save_model save_weights deserialize_keras_object from_json model_from_json custom_object_scope load_img "
    "save_img plot_model import_module load_data func_load register_keras_serializable set_backend load_weights_only "
    "save_weights_only urlretrieve urlopen unpack_archive rmtree copytree copyfile"
)
_BUILTIN_CALLS = _words(
    "eval exec compile open __import__ getattr setattr delattr globals locals vars input breakpoint memoryview type "
    "object classmethod staticmethod property super help exit quit"
)
"""Built-in functions that reach beyond numbers. Of others (abs, max), and of the user's own, Keras itself writes that
they are in `builtins`."""
_DATA_CLASSES = _words(
    "__keras_tensor__ __tensor__ __numpy__ __bytes__ __ellipsis__ __slice__ __tuple__ __typespec__ __set__"
)
_FILE_FUNCTIONS = re.compile(
    r"(^|\.)(read_file|write_file|(?:eager_)?py_func(?:tion)?|numpy_function|load_op_library|load_library|matching_files|"
    r"ReadFile|WriteFile|PyFunc|PyFuncStateless|EagerPyFunc|SaveV2|RestoreV2|MatchingFiles)$"
)
_FILE_MODULES = re.compile(
    r"tensorflow\.(?:(?:compat\.v[12]\.)?(?:io\.)?gfile|python\.lib\.io|python\.platform\.gfile)(?:\.|\Z)"
)
_OPERATIONS = re.compile(r'\bop"?\s*:\s*"(\w+)"')
_ADDRESS = re.compile(
    r"^(https?|ftp|file|gs|s3|hdfs|hf|kaggle)://|^/[^/\s]+/|^\.\./|/\.\./|^[A-Za-z]:\\", re.IGNORECASE
)
_UNLOCKING = re.compile(r"enable_unsafe_deserialization|set_global_attribute|safe_mode")
_UNREAD_KEYS = frozenset({"name", "class_name", "registered_name", "module"})

Place = tuple[Any, Any]
"""(place of the parent, key): a JSON location that costs nothing until it is printed."""

_PICKLED = re.compile(r"\s*(?:gA[I-X]|UEsDB|H4sI)|\(*[ci][A-Za-z_][\w.]*\n|\x80[\x02-\x05]")
"""How texts begin that hold a pickle or an archive with one, as they are or in base64."""
_SHORTEST_PICKLE = 12
MOST_HELD = 200


class Held(NamedTuple):
    """A text that may hold a pickle: of which layer, where in the document, and the text."""

    path: str
    pointer: str
    value: str


class Scan:
    """Walks one JSON document without recursion; `dangers` is the result, `held` what is to be looked into."""

    def __init__(self, member: str | None) -> None:
        self._member = member
        self.dangers: list[Danger] = []
        self.held: list[Held] = []

    def run(self, document: Any) -> None:
        """Look at every object and text below `document`."""
        open_values: list[tuple[Any, Place | None, str]] = [(document, None, "")]
        while open_values and len(self.dangers) < MAX_DANGERS:
            value, place, path = open_values.pop()
            if isinstance(value, dict):
                path = _layer_path(value, place, path)
                self._object(value, place, path)
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                kind = type(item)
                if kind is dict or kind is list:
                    open_values.append((item, (place, key), path))
                elif kind is str and len(item) > 3 and key not in _UNREAD_KEYS:
                    self._text(key, item, (place, key), path)
                elif key == "safe_mode" and item is False:
                    self._found(_SAFE_MODE, (place, key), path, "safe_mode=False")

    def _object(self, value: dict[str, Any], place: Place | None, path: str) -> None:
        class_name = value.get("class_name")
        if class_name == "__typespec__":  # Keras calls the class that this one names
            self._names(value, str(value.get("spec_name")), place, path)
        if not isinstance(class_name, str) or class_name in _DATA_CLASSES:
            return
        config = value.get("config")
        if class_name == "__lambda__":
            self._found(_BYTECODE, place, path, class_name)
        elif class_name in ("Lambda", "Merge") and isinstance(config, dict):
            self._lambda(class_name, config, place, path)
        elif class_name in _FOREIGN_LAYERS:
            detail = config.get("filepath", class_name) if isinstance(config, dict) else class_name
            self._found(_FOREIGN_LAYERS[class_name], place, path, str(detail))
            self._hold(config, (place, "config"), path)
        self._names(value, class_name, place, path)
        name = config.get("name") if isinstance(config, dict) else None
        if isinstance(name, str) and _leaves_folder(name):
            self._found(_NAME_PATH, place, path, name)

    def _lambda(self, class_name: str, config: dict[str, Any], place: Place | None, path: str) -> None:
        """A Lambda layer's functions (or, in Keras 1, a Merge layer's): bytecode in a list, or a name.

        A function that is an object of its own is met again on the walk, in its own place.
        """
        main = "function" if class_name == "Lambda" else "mode"
        for key, value in config.items():
            if isinstance(value, list) and (key == main or config.get(f"{key}_type") == "lambda"):
                self._found(_BYTECODE, place, path, key)
        function = config.get(main)
        if class_name == "Lambda" and not isinstance(function, dict | list):
            name = _called(config.get("module"), str(function))
            self._found(_of_function(name), place, path, name)
        elif isinstance(function, dict) and function.get("class_name") == "function":
            self._found(_NAMED_FUNCTION, place, path, str(function.get("config")))

    def _names(self, value: dict[str, Any], class_name: str, place: Place | None, path: str) -> None:
        """Whether module, class and registered name are Keras' own, harmless, and agree."""
        module, registered, config = value.get("module"), value.get("registered_name"), value.get("config")
        is_function = class_name == "function"
        named = config if is_function and isinstance(config, str) else class_name
        if _last(named) in _GADGETS:
            self._found(_GADGET, place, path, f"{module}.{named}")
        elif isinstance(module, str) and _is_hidden(module, named, function=is_function):
            self._found(_NO_PART, place, path, f"{module}.{named}")
        plain = is_function and module == "builtins" and named not in _BUILTIN_CALLS
        if isinstance(module, str) and not is_keras_module(module) and not plain:
            self._found(_foreign(module, named), place, path, f"{module}.{named}")
        elif module is None and isinstance(registered, str) and class_name not in KIND_OF_CLASS:
            self._found(_OWN_CLASS, place, path, registered)
        if isinstance(registered, str) and not is_function and _last(registered) != _last(class_name):
            self._found(_TWO_NAMES, place, path, f"{class_name} registered as {registered}")

    def _hold(self, config: Any, place: Place, path: str) -> None:
        """Keep the texts of a layer that unpickles one of them; one may lie in an object, as Keras wrote bytes."""
        open_values: list[tuple[Any, Place]] = [(config, place)] if isinstance(config, dict) else []
        while open_values and len(self.held) < MOST_HELD:
            value, here = open_values.pop()
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(item, str):
                    met_again = key not in _UNREAD_KEYS and _PICKLED.match(item)
                    if len(item) >= _SHORTEST_PICKLE and not met_again:
                        self.held.append(Held(path, text(_pointer((here, key)), 400), item))
                elif isinstance(item, dict | list):
                    open_values.append((item, (here, key)))

    def _text(self, key: Any, item: str, place: Place, path: str) -> None:
        if len(item) >= _SHORTEST_PICKLE and len(self.held) < MOST_HELD and _PICKLED.match(item):
            self.held.append(Held(path, text(_pointer(place), 400), item))
        if key in ("vocabulary", "idf_weights"):
            self._found(_VOCABULARY, place, path, item)
        elif key in ("function", "op", "node_def") and (_FILE_FUNCTIONS.search(item) or _runs_operation(key, item)):
            self._found(_FILE_OPERATION, place, path, item)
        elif _UNLOCKING.search(item):
            self._found(_SAFE_MODE, place, path, item)
        elif _ADDRESS.search(item):
            self._found(_ELSEWHERE, place, path, item)

    def _found(self, known: _Known, place: Place | None, path: str, detail: str) -> None:
        self.dangers.append(
            Danger(
                code=known.code,
                severity=known.severity,
                what=known.what,
                path=path or None,
                member=self._member,
                detail=f"{text(_pointer(place), 400)}: {text(detail, 200)}",
                reference=known.reference,
            )
        )


def _runs_operation(key: Any, item: str) -> bool:
    """Whether an operation of TensorFlow, or a node in text or JSON, does more than compute."""
    ops = _OPERATIONS.findall(item) if key == "node_def" else [item]
    return any(map(touches, ops))


def _foreign(module: str, named: str) -> _Known:
    """How bad it is that a module outside Keras is named."""
    if runs_code(module, named):
        return _CODE_MODULE if is_standard(module) else _CODE_NAME
    return _FILE_OPERATION if _FILE_FUNCTIONS.search(named) or _FILE_MODULES.match(module) else _OTHER_MODULE


def _called(module: Any, name: str) -> str:
    """The function of a Lambda layer with the module that Keras 2 looks it up in: a file's own, or any other."""
    return f"{module}.{name}" if isinstance(module, str) and module not in ("", "__main__") else name


def _of_function(name: str) -> _Known:
    """How bad it is that a Lambda layer calls a function by this name."""
    if _last(name) in _GADGETS:
        return _GADGET
    module, _, last = name.rpartition(".")
    if module and is_keras_module(module):
        return _NAMED_FUNCTION if is_part(module, last, function=True) else _NO_PART
    return _foreign(module, last) if runs_code(module, last) else _NAMED_FUNCTION


def _is_hidden(module: str, named: str, *, function: bool) -> bool:
    """Whether a name of Keras is one that no model has: what is not called `function` is a class."""
    meant = not function or named != "function"
    return meant and is_keras_module(module) and not is_part(module, named, function=function)


def _layer_path(value: dict[str, Any], place: Place | None, path: str) -> str:
    """The layer path for what lies in `value`, longer by a name if `value` is an entry of a layer list."""
    parent = place[0] if place is not None else None
    if parent is None or parent[1] != "layers" or "class_name" not in value:
        return path
    config = value.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    name = text(str(name if isinstance(name, str) else value.get("name")), 200)
    return f"{path}/{name}" if path else name


def _pointer(place: Place | None) -> str:
    steps = [str(step).replace("~", "~0").replace("/", "~1") for step in _steps(place)]
    return "/" + "/".join(reversed(steps))


def _steps(place: Place | None) -> Iterator[Any]:
    while place is not None:
        yield place[1]
        place = place[0]


def _last(name: str) -> str:
    return name.rsplit(">", 1)[-1].rsplit(".", 1)[-1]


def _leaves_folder(name: str) -> bool:
    return ".." in name.replace("\\", "/").split("/") or "\0" in name or name.startswith(("/", "\\"))
