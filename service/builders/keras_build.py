"""One build with Keras from request to model; knows the order of the steps, none of their details."""

from __future__ import annotations

from typing import Any

import keras

from service.builders import keras_config, keras_list
from service.builders.common import check_total
from service.builders.keras_plan import ModelSpec, refs
from service.builders.keras_run import Runner
from service.builders.keras_tree import Lister
from service.config import Limits
from service.formats import BuildRequest
from service.language import Message, msgn
from service.plain import output_tags, text
from service.tree import Model, ModelInfo


def build(request: BuildRequest, limits: Limits) -> Model:
    """See `service.builders.keras.build`."""
    keras.config.disable_traceback_filtering()  # its wrappers lengthen every message
    recorded = request.dialect == "keras_config"
    runner = Runner(keras_config.layer if recorded else keras_list.child, limits, strict=not recorded)
    spec = keras_config.read(request.spec) if recorded else keras_list.read(request.spec, limits, runner.problems)
    with keras.StatelessScope(initialize_variables=False):  # weights keep their shapes and never get values
        runner.make(spec)
        runner.problems.raise_if_any()
        lister = Lister(limits)
        layers = tuple(lister.layers(runner.run(spec)))
    check_total((weight for layer in layers for weight in layer.weights), limits)
    return Model(
        info=_info(request, spec),
        layers=layers,
        security=request.dangers,
        complete=not lister.open,
        notes=_notes(lister.open),
    )


def _notes(paths: list[str]) -> tuple[Message, ...]:
    if not paths:
        return ()
    listed = ", ".join(text(path, 100) for path in paths[:10]) + (" ..." if len(paths) > 10 else "")
    return (
        msgn(
            "The weights of {n} layer are not known, because the spec does not tell its code or its input "
            "shapes: {paths}.",
            "The weights of {n} layers are not known, because the spec does not tell their code or input "
            "shapes: {paths}.",
            len(paths),
            paths=listed,
        ),
    )


def _info(request: BuildRequest, spec: ModelSpec) -> ModelInfo:
    document: dict[str, Any] = request.spec
    version = document.get("keras_version")
    tags = {"backend": text(document["backend"])} if isinstance(document.get("backend"), str) else {}
    recorded = request.dialect == "keras_config"
    return ModelInfo(
        format="keras_json" if recorded else "layer_list",
        framework="keras",
        name=text(spec.name) if spec.name else None,
        type=text(spec.type),
        framework_version=text(version) if isinstance(version, str) else None if recorded else keras.__version__,
        tags={**tags, **output_tags(found.layer for found in refs(spec.outputs))},
    )
