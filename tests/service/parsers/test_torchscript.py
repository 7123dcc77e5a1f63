"""TorchScript's class text: declarations are read as text, bodies only searched."""

from __future__ import annotations

import pytest

from service.parsers.torchscript import dangers_in, module_name, original_class, parse_classes

CODE = """class Conv2d(Module):
  __parameters__ = ["weight", "bias", ]
  __buffers__ = ["mean", ]
  weight : Tensor
  bias : Optional[Tensor]
  training : bool
  __annotations__["0"] = __torch__.torch.nn.modules.activation.ReLU
  stride : Final[Tuple[int, int]] = (1, 1)
  eps : Final[float] = 1.0000000000000001e-05
  padding_mode : Final[str] = "zeros"
  limit : Final[float] = inf
  def forward(self: __torch__.Conv2d,
    input: Tensor) -> Tensor:
    weight : Tensor = self.weight
    return torch.conv2d(input, weight)
class Empty(Module):
  __parameters__ = []
  __buffers__ = []
class Pair(NamedTuple):
  a : int
def loose(x: Tensor) -> Tensor:
  y : Tensor
  return x
"""


def test_declarations_are_read() -> None:
    """Parameters, buffers, attributes (also those whose names are no identifiers) and constants, per class."""
    conv, empty, pair = parse_classes(CODE, "__torch__.net")
    assert (conv.name, conv.base) == ("__torch__.net.Conv2d", "Module")
    assert (conv.parameters, conv.buffers) == ({"weight", "bias"}, {"mean"})
    assert set(conv.attributes) == {"weight", "bias", "training", "0"}
    assert conv.constants == {"stride": (1, 1), "eps": 1e-05, "padding_mode": "zeros", "limit": "inf"}
    assert (empty.parameters, empty.attributes) == (set(), {})
    assert pair.base == "NamedTuple"


@pytest.mark.parametrize("literal", ["(" * 400, "9" * 400, "__import__('os')", "[1, 2", "x" * 5000, "'" + "a" * 100])
def test_a_constant_that_is_no_literal_stays_text(literal: str) -> None:
    """Nothing in the text is evaluated beyond short literals."""
    (found,) = parse_classes(f"class A(Module):\n  c : Final[int] = {literal}\n", "m")
    assert isinstance(found.constants["c"], (str, int))


def test_member_names_become_module_names() -> None:
    """The path below `code/` is the qualified name."""
    assert module_name("code/__torch__/torch/nn/modules/conv.py") == "__torch__.torch.nn.modules.conv"


@pytest.mark.parametrize(
    ("qualified", "original"),
    [
        ("__torch__.torch.nn.modules.conv.___torch_mangle_12.Conv2d", ("Conv2d", "torch.nn.modules.conv")),
        ("__torch__.Net", ("Net", None)),
        ("__torch__.___torch_mangle_0.Net", ("Net", None)),
        ("__torch__.my.models.Net", ("Net", "my.models")),
    ],
)
def test_the_original_class_is_found_under_the_mangled_name(qualified: str, original: tuple[str, str | None]) -> None:
    """`__torch__` and `___torch_mangle_N` are added by the compiler."""
    assert original_class(qualified) == original


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("    torch.ops.load_library(path)", "torchscript_library"),
        ("import os", "torchscript_import"),
        ("    x = torch.from_file(name, False, 10)", "torchscript_file"),
        ("    x = ops.aten.from_file(name)", "torchscript_file"),
        ("    x = (torch.\n  from_file)(name, False, 10)", "torchscript_file"),
        ("    x = ops.c10d.send([x], 0)", "torchscript_network"),
        ("    x = ops.rpc.rpc_sync(name)", "torchscript_network"),
        ("    x = eval(name)", "torchscript_call"),
        ('    x = getattr(torch, "from_" + "file")(name)', "torchscript_call"),
        ("    x = ^MyFunction(1)(x)", "torchscript_python"),
        ("    x = ops.mylib.run(x)", "torchscript_custom_operator"),
    ],
)
def test_code_that_reaches_outside_is_listed(line: str, code: str) -> None:
    """Libraries, files, Python and operators of other libraries, with their place."""
    found = dangers_in(f"class A(Module):\n{line}\n", "code/a.py")
    assert [danger.code for danger in found] == [code]
    assert found[0].member == "code/a.py"


def test_ordinary_code_and_strings_are_not_listed() -> None:
    """Operators of PyTorch, methods of like names, and words in messages reach nothing."""
    assert dangers_in(CODE, "a") == []
    assert (
        dangers_in('  ops.prim.RaiseException("import os; eval(x) load_library", "x")\n  (self).open(x, )\n', "a") == []
    )


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("ops.image.read_file(name)", ["torchscript_file", "torchscript_custom_operator"]),
        ("ops.torchvision.write_file(name, x)", ["torchscript_file"]),
        ("ops.torchaudio.sox_io_save_audio_file(name, x, 1)", ["torchscript_file"]),
        ("ops.torchaudio.sox_io_get_info(name)", ["torchscript_file"]),
        ("torch.ops.torchaudio.sox_effects_apply_effects_file(name)", ["torchscript_file"]),
        ("ops.aten._from_file(name)", ["torchscript_file"]),
        ("ops.aten.save(x)", ["torchscript_file"]),
        ("__torch__.torch.classes.torchaudio.ffmpeg_StreamReader(name)", ["torchscript_file"]),
        ("ops.mine.HttpGet(name)", ["torchscript_network", "torchscript_custom_operator"]),
        ("ops.mine.exec_shell(name)", ["torchscript_call", "torchscript_custom_operator"]),
        ("ops.tensorrt.execute_engine([x], e)", ["torchscript_custom_operator", "torchscript_compiled_operator"]),
        ("ops.mine.load_balancing(x)", ["torchscript_custom_operator"]),
        ("ops.mine.thread_spread_profile(x)", ["torchscript_custom_operator"]),
        ("ops.torchvision.decode_jpeg(x)", []),
        ("ops.quantized.linear_dynamic(x, w)", []),
        ("__torch__.torch.classes.quantized.LinearPackedParamsBase", []),
    ],
)
def test_operators_are_judged_by_what_their_names_say(called: str, expected: list[str]) -> None:
    """Files, addresses and programs are high, whichever library is asked; a word within a word says nothing."""
    found = dangers_in(f"class A(Module):\n    x = {called}\n", "code/a.py")
    assert [danger.code for danger in found] == expected
    severities = {"torchscript_custom_operator": "low", "torchscript_compiled_operator": "medium"}
    assert [danger.severity for danger in found] == [severities.get(code, "high") for code in expected]


def test_many_operators_of_files_are_one_danger() -> None:
    """The first says where; another kind is another danger."""
    lines = "".join(f"    x = ops.mine.read_file_{at}(x)\n" for at in range(100)) + "    x = ops.mine.download(x)\n"
    found = dangers_in(f"class A(Module):\n{lines}", "code/a.py")
    assert [(danger.code, danger.detail) for danger in found] == [
        ("torchscript_file", "ops.mine.read_file_0"), ("torchscript_network", "ops.mine.download"),
        ("torchscript_custom_operator", "mine"),
    ]  # fmt: skip
