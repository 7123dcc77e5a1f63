"""What a configuration has a loader call by name, as Hydra and NeMo do with `_target_`: a class of a model, or code.

Knows names as they are written and what is known of them elsewhere; must not know documents. Nothing is resolved.
"""

from __future__ import annotations

import re
from functools import lru_cache

from service.catalog import torch_globals
from service.catalog.code_names import CALLS, runs_code
from service.catalog.pickle_names import is_standard, words
from service.tree import Severity

_MODELS = tuple(
    f"{name}."
    for name in words(
        "torch.nn torch.optim torch.utils.data torchvision torchaudio torchmetrics torch_geometric transformers "
        "diffusers nemo nemo_text_processing pytorch_lightning lightning keras tensorflow.keras tf_keras timm peft "
        "tokenizers sentence_transformers accelerate monai omegaconf hydra segmentation_models_pytorch open_clip "
        "speechbrain"
    )
)
"""Libraries whose classes make up models, their training and its settings."""
_DOING = re.compile(r"Lambda|TFSM|ModuleWrapper|Interpreter|Agent|Tool(?:Box)?\Z|Launcher|Script|Compile")
"""Classes of theirs that do more than that."""
_FUNCTIONS = ("torch.nn.functional", "torch.nn.init")
_SCHEDULE = re.compile(r"transformers\.(?:optimization\.)?get_\w*schedule\w*\Z", re.ASCII)
_RUNNING = words("cupy gradio mlflow nltk hydra_zen")
"""Packages beside those of `code_names` that run or fetch what a configuration tells them to."""
_CLASS = re.compile(r"_?[A-Z]\w*\Z", re.ASCII)
_COMPUTED = "${"


@lru_cache(maxsize=4096)
def severity_of(target: str) -> Severity | None:
    """How bad it is that a loader calls `target`; None for what makes data or a part of a model, or is no name.

    high: known to run, load or fetch, or of Python's own library. medium: another function, or a name that is put
    together while loading. low: a class of a package that is not known here.
    """
    if _COMPUTED in target:
        return "medium"
    steps = target.split(".")
    module, name = ".".join(steps[:-1]), steps[-1]
    if len(steps) < 2 or not all(step.isidentifier() for step in steps) or _is_harmless(module, name):
        return None
    is_class = _CLASS.match(name) is not None
    known = is_class and target.startswith(_MODELS) and name not in CALLS and not _DOING.search(name)
    if known and (steps[0] != "torch" or not torch_globals.runs_code(module, name)):
        return None
    if _runs(steps):
        return "high"
    return "low" if is_class else "medium"


def severity_under(key: str, target: str) -> Severity | None:
    """How bad `target` is as the value of `key`: `_target_` is always called, `target` by few who read it.

    `target` stands in latent diffusion's configurations, and in many others that call nothing.
    """
    severity = severity_of(target)
    if key != "target":
        return severity
    return "medium" if severity == "high" else None


def _is_harmless(module: str, name: str) -> bool:
    if torch_globals.is_harmless(module, name) or _SCHEDULE.match(f"{module}.{name}"):
        return True
    return module in _FUNCTIONS and not name.startswith("_") and name not in CALLS


def _runs(steps: list[str]) -> bool:
    """Whether it runs code as a name of a module, of a class in it, or of a module that any other one has imported."""
    last = len(steps) - 1
    owner = next((at for at, step in enumerate(steps) if at and _CLASS.match(step)), last)
    splits = {(0, last), (0, owner), *((at, last) for at in range(1, last) if is_standard(steps[at]))}
    return steps[0] in _RUNNING or any(
        _runs_as(".".join(steps[start:at]), ".".join(steps[at:])) for start, at in splits
    )


def _runs_as(module: str, name: str) -> bool:
    standard = is_standard(module) and not torch_globals.is_harmless(module, name)
    return standard or runs_code(module, name) or torch_globals.runs_code(module, name)
