"""What in a Keras configuration could run code or reach outside when Keras loads it. Listed, never resolved.

Knows Keras' serialization and the published attacks on it; must not know files. An allow-list: names in Keras' own
packages pass unless they are known gadgets, everything else is named in the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from service.catalog.keras_classes import KIND_OF_CLASS, is_keras_module
from service.plain import text
from service.tree import Danger, Severity

MAX_DANGERS = 500
"""Enough to see what a file is; a million forged layers need not fill the report."""

_GADGETS = frozenset({
    "get_file", "extract_archive", "enable_unsafe_deserialization", "set_global_attribute", "load_model",
    "load_weights", "save_model", "save_weights", "deserialize_keras_object", "deserialize", "from_json",
    "model_from_json", "custom_object_scope", "register_keras_serializable", "load_img", "save_img", "plot_model",
    "run_cloud", "clear_session", "set_backend", "import_module", "load_data", "func_load",
})
_CODE_MODULES = frozenset({
    "os", "posix", "nt", "subprocess", "builtins", "sys", "shutil", "importlib", "pickle", "marshal", "ctypes", "socket",
    "runpy", "code", "pty", "types", "urllib", "requests", "tempfile", "pathlib", "io", "webbrowser", "operator",
    "functools", "multiprocessing", "threading", "asyncio", "pip", "pkgutil", "timeit", "pdb", "cProfile", "ast",
})
_FOREIGN_LAYERS: dict[str, tuple[str, Severity, str, str]] = {
    "TorchModuleWrapper": ("keras_torch_module", "critical", "This layer carries a pickled PyTorch module.", "CVE-2025-49655"),
    "TFSMLayer": ("keras_saved_model_layer", "high", "This layer loads a SavedModel from a path when it is made.", "CVE-2026-1462"),
    "JaxLayer": ("keras_function_layer", "high", "This layer is made of serialized functions.", ""),
    "FlaxLayer": ("keras_function_layer", "high", "This layer is made of serialized functions.", ""),
}
_SPECIAL = frozenset({
    "__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__",
    "__typespec__", "__set__",
})
_FILE_OPERATIONS = re.compile(r"(^|\.)(read_file|write_file|py_function|py_func|numpy_function|load_op_library|"
                              r"load_library|ReadFile|WriteFile|PyFunc|PyFuncStateless|EagerPyFunc|SaveV2|Save|"
                              r"RestoreV2|matching_files|MatchingFiles)$")
_ELSEWHERE = re.compile(r"^(https?|ftp|file|gs|s3|hdfs|hf|kaggle)://|^/[^/\s]+/|^\.\./|/\.\./|^[A-Za-z]:\\", re.IGNORECASE)
_UNSAFE_WORDS = re.compile(r"enable_unsafe_deserialization|set_global_attribute|safe_mode")

Place = tuple[Any, Any]
"""(place of the parent, key): a JSON location that costs nothing until it is printed."""


class Scan:
    """Walks one JSON document without recursion; `dangers` is the result."""

    def __init__(self, member: str | None) -> None:
        self._member = member
        self.dangers: list[Danger] = []

    def run(self, document: Any, root: str = "") -> None:
        """Look at every object below `document`."""
        open_values: list[tuple[Any, Place | None, str]] = [(document, (None, root) if root else None, "")]
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
                elif kind is str and len(item) > 3:
                    self._string(key, item, (place, key), path)
                elif key == "safe_mode" and item is False:
                    self._found("keras_safe_mode_off", "critical", "A call in this file switches Keras' safe mode off.",
                                (place, key), path, "safe_mode=False", "CVE-2025-9906")

    def _object(self, value: dict[str, Any], place: Place | None, path: str) -> None:
        class_name = value.get("class_name")
        if not isinstance(class_name, str) or class_name in _SPECIAL:
            return
        for check in (self._lambda, self._foreign, self._function, self._outside_class, self._name):
            check(value, class_name, place, path)

    def _lambda(self, value: dict[str, Any], class_name: str, place: Place | None, path: str) -> None:
        if class_name == "__lambda__":
            self._found("keras_lambda", "critical", "Python bytecode that runs when Keras loads the file.", place, path,
                        "__lambda__", "CVE-2024-3660")
        config = value.get("config")
        if class_name not in ("Lambda", "Merge") or not isinstance(config, dict):
            return
        function = config.get("function", config.get("mode"))
        if isinstance(function, (list, dict)) and not _is_layer_list(function):
            if not isinstance(function, dict):  # a dictionary is met again on the walk, with its own place
                self._found("keras_lambda", "critical", "Python bytecode that runs when Keras loads the file.", place,
                            path, "function", "CVE-2024-3660")
            elif function.get("class_name") != "__lambda__":
                self._lambda_by_name(str(function.get("config")), place, path)
        elif class_name == "Lambda":
            self._lambda_by_name(str(function), place, path)

    def _lambda_by_name(self, function: str, place: Place | None, path: str) -> None:
        gadget = function.rsplit(".", 1)[-1] in _GADGETS
        self._found("keras_gadget" if gadget else "keras_lambda", "critical" if gadget else "medium",
                    "This layer calls a function that the file names.", place, path, function, "CVE-2025-8747")

    def _foreign(self, value: dict[str, Any], class_name: str, place: Place | None, path: str) -> None:
        if class_name in _FOREIGN_LAYERS:
            code, severity, what, reference = _FOREIGN_LAYERS[class_name]
            config = value.get("config")
            detail = str(config.get("filepath", class_name)) if isinstance(config, dict) else class_name
            self._found(code, severity, what, place, path, detail, reference or None)

    def _function(self, value: dict[str, Any], class_name: str, place: Place | None, path: str) -> None:
        """`{"module", "class_name": "function", "config": name}`, and classes of Keras that reach outside."""
        module, config = value.get("module"), value.get("config")
        named = config if class_name == "function" and isinstance(config, str) else class_name
        if named.rsplit(".", 1)[-1] in _GADGETS:
            self._found("keras_gadget", "critical", "A function that fetches, loads or unlocks, called on loading.",
                        place, path, f"{module}.{named}", "CVE-2025-8747")

    def _outside_class(self, value: dict[str, Any], class_name: str, place: Place | None, path: str) -> None:
        module, registered = value.get("module"), value.get("registered_name")
        plain_function = module == "builtins" and class_name == "function"
        if isinstance(module, str) and not is_keras_module(module) and not plain_function:
            dangerous = module.split(".")[0] in _CODE_MODULES
            self._found("keras_foreign_module", "critical" if dangerous else "medium",
                        "Loading may import this module and call what is named in it.", place, path,
                        f"{module}.{class_name} {_short(value.get('config'))}".strip(), "CVE-2025-1550")
        elif module is None and "inbound_nodes" in value and class_name not in KIND_OF_CLASS:
            self._found("keras_custom_object", "info", "A class of the user's own: loading runs the user's code.", place,
                        path, class_name, None)
        if isinstance(registered, str) and not plain_function and _last(registered) != _last(class_name):
            self._found("keras_name_mismatch", "high", "Registered name and class name disagree: what is shown is not "
                        "what would be loaded.", place, path, f"{class_name} registered as {registered}", "CVE-2025-1550")

    def _name(self, value: dict[str, Any], _class_name: str, place: Place | None, path: str) -> None:
        config = value.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        if isinstance(name, str) and (".." in name.replace("\\", "/").split("/") or "\0" in name or name.startswith("/")):
            self._found("keras_name_path", "high", "This name would leave its folder when Keras turns it into a path.",
                        place, path, name, "CVE-2026-12479")

    def _string(self, key: Any, item: str, place: Place, path: str) -> None:
        if key == "vocabulary" or key == "idf_weights":
            self._found("keras_vocabulary_path", "high", "Keras reads this path or address when it makes the layer.",
                        place, path, item, "CVE-2025-12058")
        elif key in ("function", "op", "node_def") and _FILE_OPERATIONS.search(item):
            self._found("keras_file_operation", "high", "This operation reads or writes files, or calls Python.", place,
                        path, item, None)
        elif _UNSAFE_WORDS.search(item):
            self._found("keras_gadget", "critical", "A name that switches Keras' safe mode off.", place, path, item,
                        "CVE-2025-9906")
        elif key not in ("name", "date_saved") and _ELSEWHERE.search(item):
            self._found("keras_path_or_url", "medium", "A path or address outside the file.", place, path, item, None)

    def _found(self, code: str, severity: Severity, what: str, place: Place | None, path: str, detail: str,  # noqa: PLR0913 - one per field
               reference: str | None) -> None:
        self.dangers.append(Danger(
            code=code, severity=severity, what=what, path=path or None, member=self._member,
            detail=text(f"{_pointer(place)}: {text(detail, 200)}"), reference=reference))


def _layer_path(value: dict[str, Any], place: Place | None, path: str) -> str:
    """The layer path for what lies in `value`, longer by a name if `value` is an entry of a layer list."""
    parent = place[0] if place is not None else None
    if parent is None or parent[1] != "layers" or "class_name" not in value:
        return path
    config = value.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    name = name if isinstance(name, str) else value.get("name")
    return f"{path}/{text(str(name), 200)}" if path else text(str(name), 200)


def _pointer(place: Place | None) -> str:
    return "/" + "/".join(reversed([str(key).replace("~", "~0").replace("/", "~1") for key in _steps(place)]))


def _steps(place: Place | None) -> Iterator[Any]:
    while place is not None:
        yield place[1]
        place = place[0]


def _is_layer_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _last(name: str) -> str:
    return name.rsplit(">", 1)[-1]


def _short(value: Any) -> str:
    return value[:100] if isinstance(value, str) else ""
