"""How bad a name is that a configuration has a loader call: by what is known of it, or by its shape."""

from __future__ import annotations

import pytest

from service.catalog.hydra_targets import severity_of, severity_under

HARMLESS = """
nemo.collections.asr.modules.ConformerEncoder torch.nn.Linear torch.optim.AdamW torch.optim.lr_scheduler.StepLR
torch.utils.data.DataLoader transformers.AutoModel pytorch_lightning.Trainer lightning.pytorch.loggers.CSVLogger
keras.layers.Dense tensorflow.keras.layers.Dense hydra._internal.core_plugins.basic_launcher.BasicSweeper
pathlib.Path builtins.dict collections.OrderedDict datetime.timedelta torch.device torch.nn.functional.relu
transformers.get_linear_schedule_with_warmup transformers.optimization.get_cosine_schedule_with_warmup
"""
HIGH = """
os.system subprocess.Popen builtins.eval hydra.utils.get_method torch.hub.load torch.utils.cpp_extension.load_inline
torch.package.PackageImporter torch.fx.graph_module._exec_with_source numpy.save numpy.f2py.crackfortran.myeval
keras.utils.get_file tensorflow.io.gfile.GFile jinja2.Template joblib.memory.Memory huggingface_hub.snapshot_download
any.package.os.system any.package.subprocess.Popen nemo.core.x.open my.data.load torch.nn.functional.warnings.os.system
keras.layers.TFSMLayer keras.layers.Lambda
"""
MEDIUM = """
transformers.pipeline transformers.AutoModel.from_pretrained torchvision.models.resnet18 any.helper
keras_hub.build ${model.target} ${a}.${b}
"""
LOW = "any.Thing any.package.models.Net transformers.tools.PythonInterpreter mine.keras.Model"


@pytest.mark.parametrize("target", HARMLESS.split())
def test_parts_of_models_and_data_are_none(target: str) -> None:
    """Classes of the libraries that models are made of, types of data, plain functions of numbers."""
    assert severity_of(target) is None


@pytest.mark.parametrize("target", HIGH.split())
def test_what_runs_loads_or_fetches_is_high(target: str) -> None:
    """Also of Python's library, and reached through another package that has imported it."""
    assert severity_of(target) == "high"


@pytest.mark.parametrize("target", MEDIUM.split())
def test_other_functions_are_medium(target: str) -> None:
    """A function does what it does when it is called; so is a name that is put together while loading."""
    assert severity_of(target) == "medium"


@pytest.mark.parametrize("target", LOW.split())
def test_other_classes_are_low(target: str) -> None:
    """Of packages that are not known here, and those that do more than a part of a model."""
    assert severity_of(target) == "low"


@pytest.mark.parametrize("target", ["os", "", "a..b", "a.b c", ".", "a.1", "x" * 5000, "http://a.b/c"])
def test_what_names_nothing_is_none(target: str) -> None:
    """A name without a module, or what is no name."""
    assert severity_of(target) is None


@pytest.mark.parametrize(
    ("key", "target", "severity"),
    [
        ("_target_", "os.system", "high"),
        ("target", "os.system", "medium"),
        ("_target_", "my.package.Model", "low"),
        ("target", "my.package.Model", None),
    ],
)
def test_few_who_read_a_plain_target_call_it(key: str, target: str, severity: str | None) -> None:
    """Under `target` only what is known to run counts, one step less than under `_target_`, which is always called."""
    assert severity_under(key, target) == severity


@pytest.mark.parametrize("package", ["sh", "fire", "fsspec", "gdown", "wget", "cffi", "plumbum", "huggingface_hub"])
def test_packages_that_run_or_fetch_are_known_from_the_one_list_of_them(package: str) -> None:
    """Whatever of them is called, the finding is high."""
    assert severity_of(f"{package}.anything") == severity_of(f"{package}.inner.Thing") == "high"
