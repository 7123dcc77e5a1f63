"""The frameworks whose models are read: titles, how they join names, whose conventions they follow; knows no format."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from service.basis import Frozen

Conventions = Literal["keras", "torch"]


class Framework(Frozen, frozen=True, kw_only=True):
    """One framework or runtime.

    Attributes:
        title: As its makers write it.
        conventions: Whose way of counting and laying out weights it follows. keras: kernels end in the outputs and
            statistics count as weights; torch: kernels begin with the outputs and statistics are kept beside them.
        separator: Between the steps of a weight's full name.
    """

    title: str
    conventions: Conventions = "torch"
    separator: str = "."


OWN_RULES = frozenset({"keras", "torch"})
"""Frameworks whose layers are known class by class: their defaults, their shapes, what their tools print."""

FRAMEWORKS = MappingProxyType(
    {
        "keras": Framework(title="Keras", conventions="keras", separator="/"),
        "torch": Framework(title="PyTorch"),
        "tensorflow": Framework(title="TensorFlow", conventions="keras", separator="/"),
        "tflite": Framework(title="TensorFlow Lite", conventions="keras", separator="/"),
        "jax": Framework(title="JAX", separator="/"),
        "onnx": Framework(title="ONNX", separator="/"),
        "ggml": Framework(title="ggml"),
        "mlx": Framework(title="MLX"),
        "coreml": Framework(title="Core ML", separator="/"),
        "openvino": Framework(title="OpenVINO", separator="/"),
        "paddle": Framework(title="PaddlePaddle"),
        "ncnn": Framework(title="ncnn", separator="/"),
        "numpy": Framework(title="NumPy"),
    }
)
"""By the id that `report.model.framework` holds; a file that does not say who wrote it has `unknown`."""

_OTHER = Framework(title="")


def conventions(framework: str) -> Conventions:
    """Whose conventions `framework` follows."""
    return FRAMEWORKS.get(framework, _OTHER).conventions


def separator_of(framework: str) -> str:
    """What stands between a layer's path and the name of its weight."""
    return FRAMEWORKS.get(framework, _OTHER).separator


def title_of(framework: str) -> str:
    """The name for people; the id itself where it has none."""
    return FRAMEWORKS.get(framework, _OTHER).title or framework
