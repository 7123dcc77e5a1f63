"""Attacks by PyTorch's own files: rows T2 to T6 of the threat catalogue, and what hides beside a model."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.opcodes import EMPTY_DICT, EMPTY_LIST, PROTO, STOP, call, number, system, text, tuple_of
from tests.attacks.opcodes import named as name_of
from tests.service.readers.torch_archives import mapping, tensor

ATTACKS = Attacks()
CONFUSION = "CVE-2026-24747"
SPARSE = "CVE-2025-62164"
SCRIPT = "https://github.com/pytorch/pytorch/blob/main/SECURITY.md (models are programs)"
EXPORT = "CVE-2026-4538"
ELF = b"\x7fELF\x02\x01\x01" + bytes(200)


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip with these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as target:
        for name, data in members.items():
            target.writestr(zipfile.ZipInfo(name), data, compression)
    return out.getvalue()


def saved(pickle: bytes, more: dict[str, bytes] | None = None, storages: dict[str, int] | None = None) -> bytes:
    """What torch.save writes, around any pickle."""
    stored = {f"m/data/{key}": bytes(size) for key, size in (storages or {}).items()}
    return archive({"m/data.pkl": pickle, "m/byteorder": b"little", **stored, "m/version": b"3\n", **(more or {})})


CLEAN = mapping(w=tensor("0", 6, (2, 3), (3, 1))) + STOP
WHOLE = {"0": 24}


def payload(trap: Trap) -> bytes:
    """A pickle that runs the command of this trap."""
    return PROTO[2] + system(trap.command) + STOP


# T1 in PyTorch's containers


@ATTACKS("T2-01", source="CVE-2025-32434", expects=named("pickle_global", "critical", "m/data.pkl"))
def in_a_zip(trap: Trap) -> bytes:
    """The payload is in the data.pkl of a file of torch.save."""
    return saved(payload(trap))


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.USTAR_FORMAT) as target:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return out.getvalue()


NOTHING = PROTO[2] + number(0) + STOP


@ATTACKS("T2-02", source="CVE-2025-32434", expects=named("pickle_global", "critical", "pickle"))
def in_the_oldest_tar(trap: Trap) -> bytes:
    """The tar format of before 0.1.10, which `weights_only=True` once loaded without its checks."""
    storages = NOTHING + PROTO[2] + EMPTY_LIST + STOP
    return _tar({"sys_info": b"x", "pickle": payload(trap), "storages": storages, "tensors": NOTHING})


@ATTACKS("T2-03", source="CVE-2025-32434", expects=named("pickle_global", "critical", "storages"))
def in_a_storage_record_of_the_oldest_tar(trap: Trap) -> bytes:
    """The payload is where a number of storages should be."""
    return _tar({"sys_info": b"x", "pickle": NOTHING, "storages": payload(trap), "tensors": NOTHING})


@ATTACKS(
    "T2-04",
    source="torch/serialization.py _load: torch.jit",
    expects=named("pickle_global", "critical", "m/constants.pkl"),
)
def in_the_constants_of_a_script(trap: Trap) -> bytes:
    """A TorchScript file whose second pickle holds the payload."""
    root = PROTO[2] + name_of("__torch__", "Net") + b")\x81" + EMPTY_DICT + b"b."
    code = b"class Net(Module):\n  __parameters__ = []\n"
    return archive(
        {"m/data.pkl": root, "m/code/__torch__.py": code, "m/constants.pkl": payload(trap), "m/version": b"3"}
    )


@ATTACKS("T2-05", source="security.md row P6", expects=named("pickle_global", "critical", "m/extra.pkl"))
def in_another_member(trap: Trap) -> bytes:
    """The payload is beside the pickle that PyTorch loads, for the script that comes with the model."""
    return saved(CLEAN, {"m/extra.pkl": payload(trap)}, WHOLE)


@ATTACKS("T2-06", source="security.md row P6", expects=named("pickle_global", "critical", "m/assets.bin!/x/data.pkl"))
def in_an_archive_in_a_member(trap: Trap) -> bytes:
    """A file of torch.save lies in a member of another."""
    inner = archive({"x/data.pkl": payload(trap), "x/version": b"3"})
    return saved(CLEAN, {"m/assets.bin": inner}, WHOLE)


@ATTACKS(
    "T2-07",
    source="pytorch caffe2/serialize/inline_container.cc",
    expects=named("pickle_global", "critical", "m/DATA.PKL"),
)
def in_a_member_of_other_case(trap: Trap) -> bytes:
    """PyTorch looks members up without regard to case: `DATA.PKL` may be what it loads."""
    return saved(CLEAN, {"m/DATA.PKL": payload(trap)}, WHOLE)


@ATTACKS(
    "T2-08",
    source="pytorch caffe2/serialize/inline_container.cc",
    expects=named("archive_case_clash", "medium", "m/DATA.PKL"),
)
def members_that_differ_in_case(trap: Trap) -> bytes:
    """Two pickles whose names differ in case only, and one of them is not the one that is described."""
    return saved(CLEAN, {"m/DATA.PKL": CLEAN}, WHOLE)


@ATTACKS("T2-09", source="security.md row P6", expects=named("pickle_global", "critical", "b/data.pkl"))
def two_data_pickles(trap: Trap) -> bytes:
    """Two folders with a data.pkl each: which one is loaded depends on the loader."""
    return archive({"a/data.pkl": CLEAN, "b/data.pkl": payload(trap)})


@ATTACKS("T2-10", source="modelscan unsafe_zip_pytorch.pt", expects=named("pickle_global", "critical", "model.pkl"))
def a_zip_of_pickles(trap: Trap) -> bytes:
    """A plain zip of pickles under a name that ends as PyTorch's do."""
    return archive({"README.md": b"# A model", "model.pkl": payload(trap)})


@ATTACKS("T2-11", source="security.md row P6", expects=named("native_library", "high", "m/hook.so"))
def a_library_in_a_checkpoint(trap: Trap) -> bytes:
    """A shared library lies in a file of torch.save."""
    return saved(CLEAN, {"m/hook.so": ELF}, WHOLE)


@ATTACKS(
    "T2-12",
    source="https://docs.pytorch.org/docs/stable/package.html",
    expects=named("pickle_global", "critical", "p/model.pkl"),
)
def a_torch_package(trap: Trap) -> bytes:
    """torch.package: a pickle beside Python sources of its own."""
    return archive(
        {"p/.data/python_version": b"3.11", "p/vendor/__init__.py": trap.python.encode(), "p/model.pkl": payload(trap)}
    )


# Type confusion and storages of another size (T3)


@ATTACKS("T3-01", source=CONFUSION, expects=named("pickle_type_confusion", "high", "m/data.pkl"))
def items_set_on_a_list(trap: Trap) -> bytes:
    """SETITEM on what is no dictionary."""
    return saved(PROTO[2] + EMPTY_LIST + text("a") + b"Ns0" + CLEAN, storages=WHOLE)


@ATTACKS("T3-02", source=CONFUSION, expects=named("pickle_type_confusion", "high", "m/data.pkl"))
def items_set_on_a_number(trap: Trap) -> bytes:
    """SETITEMS on a number."""
    return saved(PROTO[2] + number(7) + b"(" + text("a") + b"Nu0" + CLEAN, storages=WHOLE)


@ATTACKS("T3-03", source=CONFUSION, expects=named("pickle_type_confusion", "high", "m/data.pkl"))
def values_appended_to_a_dictionary(trap: Trap) -> bytes:
    """APPENDS on a dictionary."""
    return saved(PROTO[2] + EMPTY_DICT + b"(NNe0" + CLEAN, storages=WHOLE)


@ATTACKS("T3-04", source=CONFUSION, expects=named("pickle_type_confusion", "high", "m/data.pkl"))
def state_of_a_string(trap: Trap) -> bytes:
    """BUILD on a string."""
    return saved(PROTO[2] + text("victim") + EMPTY_DICT + b"b0" + CLEAN, storages=WHOLE)


@ATTACKS("T3-05", source=CONFUSION, expects=named("storage_size_mismatch", "high", "m/data/0"))
def storage_shorter_than_declared(trap: Trap) -> bytes:
    """A member of 8 bytes stands for a storage of 24."""
    return saved(CLEAN, storages={"0": 8})


@ATTACKS("T3-06", source=CONFUSION, expects=named("storage_size_mismatch", "high", "m/data/0"))
def storage_longer_than_declared(trap: Trap) -> bytes:
    """A member of 4,096 bytes stands for a storage of 24."""
    return saved(CLEAN, storages={"0": 4096})


@ATTACKS("T3-07", source=CONFUSION, expects=named("storage_overrun", "high", "w"))
def view_beyond_its_storage(trap: Trap) -> bytes:
    """Sizes and steps that lead far out of the storage."""
    return saved(mapping(w=tensor("0", 6, (2, 3), (1 << 40, 1))) + STOP, storages=WHOLE)


@ATTACKS("T3-08", source=CONFUSION, expects=named("storage_missing", "medium", "w"))
def storage_that_is_not_there(trap: Trap) -> bytes:
    """The pickle names a member that the archive does not have."""
    return saved(mapping(w=tensor("9", 6, (2, 3), (3, 1))) + STOP, storages=WHOLE)


@ATTACKS("T3-09", source=CONFUSION, expects=refused("malformed_file"))
def negative_size(trap: Trap) -> bytes:
    """A tensor of -2 x 3 elements."""
    return saved(mapping(w=tensor("0", 6, (-2, 3), (3, 1))) + STOP, storages=WHOLE)


@ATTACKS("T3-10", source="CVE-2025-53630 and others (integer overflow)", expects=refused("limit_exceeded", "dimension"))
def size_beyond_64_bits(trap: Trap) -> bytes:
    """A size whose bytes overflow 64 bits."""
    return saved(mapping(w=tensor("0", 6, (1 << 64, 3), (0, 0))) + STOP, storages=WHOLE)


@ATTACKS("T3-11", source="CVE-2025-53630 and others (integer overflow)", expects=named("storage_overrun", "high", "w"))
def offset_that_overflows(trap: Trap) -> bytes:
    """An offset of 2^63 - 1 elements, which wraps around in 64 bits."""
    return saved(mapping(w=tensor("0", 6, (2, 3), (3, 1), offset=(1 << 63) - 1)) + STOP, storages=WHOLE)


@ATTACKS("T3-12", source=CONFUSION, expects=harmless())
def nothing_confused(trap: Trap) -> bytes:
    """The same file as it should be."""
    return saved(CLEAN, storages=WHOLE)


# Exported programs (T4)


def _program(more: dict[str, bytes], weights: dict[str, object] | None = None) -> bytes:
    graph = {"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}, "sym_int_values": {}, "sym_bool_values": {}}
    module = {"graph": graph, "signature": {"input_specs": [], "output_specs": []}, "module_call_graph": []}
    program = {"graph_module": module, "opset_version": {"aten": 10}, "range_constraints": {},
               "schema_version": {"major": 8, "minor": 1}}  # fmt: skip
    config = json.dumps({"config": weights or {}}).encode()
    return archive({"p/archive_format": b"pt2", "p/models/model.json": json.dumps(program).encode(),
                    "p/data/weights/model_weights_config.json": config, **more})  # fmt: skip


@ATTACKS("T4-01", source=EXPORT, expects=named("native_library", "high", "p/data/aotinductor/model/model.so"))
def compiled_code_in_an_export(trap: Trap) -> bytes:
    """An AOTInductor library lies in a .pt2 file."""
    return _program({"p/data/aotinductor/model/model.so": ELF})


@ATTACKS("T4-02", source=EXPORT, expects=named("native_library", "high", "p/extra/readme.txt"))
def compiled_code_under_another_name(trap: Trap) -> bytes:
    """The library is called a text."""
    return _program({"p/extra/readme.txt": ELF})


@ATTACKS("T4-03", source=EXPORT, expects=named("pickle_global", "critical", "sample_inputs/model.pt!/s/data.pkl"))
def pickle_in_the_sample_inputs(trap: Trap) -> bytes:
    """The sample inputs are a file of torch.save, which loading unpickles."""
    return _program({"p/data/sample_inputs/model.pt": archive({"s/data.pkl": payload(trap), "s/version": b"3"})})


@ATTACKS("T4-04", source=EXPORT, expects=named("pickle_global", "critical", "p/data/constants/custom_obj_0"))
def pickled_constant(trap: Trap) -> bytes:
    """A constant that is a plain pickle."""
    return _program({"p/data/constants/custom_obj_0": payload(trap)})


@ATTACKS("T4-05", source=EXPORT, expects=refused("malformed_file"))
def weight_of_a_path(trap: Trap) -> bytes:
    """A weight whose payload is a path outside, without sizes: the name is looked up among the members only."""
    return _program({}, {"w": {"path_name": 7}})


@ATTACKS("T4-06", source=EXPORT, expects=harmless(complete=True))
def weight_of_a_path_outside(trap: Trap) -> bytes:
    """A weight whose payload is called `../../secret.txt`; no such member is there, and no file is opened."""
    meta = {"dtype": 7, "sizes": [{"as_int": 4}], "requires_grad": False, "device": {"type": "cpu"},
            "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}, "layout": 7}  # fmt: skip
    return _program({}, {"w": {"path_name": f"../../../{trap.secret}", "is_param": True, "use_pickle": False,
                               "tensor_meta": meta}})  # fmt: skip


# Sparse and quantised tensors (T5)


def _sparse(index: int) -> bytes:
    indices = tensor("1", 2, (1, 2), (2, 1)).replace(b"FloatStorage", b"LongStorage")
    layout = call(name_of("torch.serialization", "_get_layout"), text("torch.sparse_coo"))
    parts = tuple_of(indices, tensor("0", 2, (2,), (1,)), tuple_of(number(index)), b"\x88")
    return mapping(w=call(name_of("torch._utils", "_rebuild_sparse_tensor"), layout, parts)) + STOP


@ATTACKS("T5-01", source=SPARSE, expects=named("torch_sparse_tensor", "low", "m/data.pkl"))
def sparse_indices(trap: Trap) -> bytes:
    """A sparse tensor whose indices lead out of it: they are not checked when it is made, and corrupt memory later."""
    members = {"m/data/1": b"\xff" * 16}
    return saved(_sparse(3), members, {"0": 8})


@ATTACKS("T5-02", source=SPARSE, expects=named("torch_sparse_tensor", "low", "m/data.pkl"))
def sparse_tensor_of_an_absurd_size(trap: Trap) -> bytes:
    """A sparse tensor of 2^62 elements: made dense, it takes all memory."""
    return saved(_sparse(1 << 62), {"m/data/1": bytes(16)}, {"0": 8})


# Row T6: TorchScript


def _script(code: str) -> bytes:
    root = PROTO[2] + name_of("__torch__", "Net") + b")\x81" + EMPTY_DICT + b"b."
    source = (
        "class Net(Module):\n  __parameters__ = []\n  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n"
    )
    body = "".join(f"    {line}\n" for line in code.splitlines())
    return archive({"m/data.pkl": root, "m/code/__torch__.py": (source + body + "    return x\n").encode(),
                    "m/constants.pkl": PROTO[2] + b")" + STOP, "m/version": b"3"})  # fmt: skip


for _number, (_name, _code, _expected) in enumerate(
    [
        ("reads_a_file", 'x = torch.from_file("{secret}", False, 20)', "torchscript_file"),
        ("reads_a_file_by_its_operator", 'x = ops.aten.from_file("{secret}", None, 20)', "torchscript_file"),
        ("saves_a_file", 'ops.aten.save(x, "{marker}")', "torchscript_file"),
        ("loads_a_library", 'torch.ops.load_library("{secret}")', "torchscript_library"),
        ("imports_a_module", "import os", "torchscript_import"),
        ("evaluates_text", 'y = eval("{marker}")', "torchscript_call"),
        ("opens_a_file", 'y = open("{secret}")', "torchscript_call"),
        ("calls_back_into_python", 'y = ^handler("{marker}")(x)', "torchscript_python"),
        ("remote_call", 'y = ops.rpc.rpc_sync("worker", "f", (x,))', "torchscript_network"),
        ("writes_to_a_process_group", "y = ops.c10d.send([x], 0)", "torchscript_network"),
        ("hidden_behind_a_line_break", 'y = (torch.\n  from_file)("{secret}", False, 20)', "torchscript_file"),
        ("by_getattr", 'y = getattr(torch, "from_" + "file")("{secret}", False, 20)', "torchscript_call"),
        ("reads_a_file_as_an_image", 'y = ops.image.read_file("{secret}")', "torchscript_file"),
        ("writes_a_file_as_an_image", 'ops.torchvision.write_file("{marker}", x)', "torchscript_file"),
        ("saves_audio", 'ops.torchaudio.sox_io_save_audio_file("{marker}", x, 1)', "torchscript_file"),
        (
            "reads_a_stream",
            'y = __torch__.torch.classes.torchaudio.ffmpeg_StreamReader("{secret}")',
            "torchscript_file",
        ),
    ],
    start=1,
):

    def _code_of(trap: Trap, code: str = _code) -> bytes:
        return _script(code.format(secret=trap.secret, marker=trap.marker))

    ATTACKS.add(f"T6-{_number:02}", _name, f"TorchScript code that {_name.replace('_', ' ')}.", SCRIPT,
                _code_of, named(_expected, "high", "m/code/__torch__.py"))  # fmt: skip


@ATTACKS("T6-20", source=SCRIPT, expects=harmless())
def words_in_strings_and_names(trap: Trap) -> bytes:
    """Code that names none of that but in strings, names and comments is left alone."""
    return _script('# import os\nself.reopen = "torch.from_file(eval)"\ny = torch.add(x, x, alpha=1)')


@ATTACKS("T6-22", source=SCRIPT, expects=harmless())
def operators_that_only_compute(trap: Trap) -> bytes:
    """Operators of PyTorch's libraries for images, and one of another library."""
    return _script(
        "y = ops.torchvision.nms(x, x, 0.5)\nz = ops.mine.load_balancing(x)\nw = ops.torchvision.decode_png(x)"
    )


@ATTACKS("T6-21", source=SCRIPT, expects=refused("limit_exceeded", "code_bytes"))
def code_without_end(trap: Trap) -> bytes:
    """More code than is read."""
    return archive({"m/data.pkl": payload(trap), "m/constants.pkl": NOTHING, "m/code/__torch__.py": b"#" * 34_000_000},
                   zipfile.ZIP_DEFLATED)  # fmt: skip


FLOODS = {
    "lines_that_are_empty": "\n" * 900_000,
    "spaces_without_end": "  a : " + " " * 900_000 + "x",
    "quotes_without_end": '"\\' * 450_000,
    "calls_without_end": "getattr( " * 100_000,
    "dots_without_end": "ops . " * 150_000,
    "annotations_without_end": '  __annotations__["a"] = ' + "x " * 450_000 + "x",
    "names_without_end": "  __parameters__ = [" + '"a", ' * 180_000,
    "brackets_without_end": "  a : Final[int] = " + "[" * 499,
}
for _number, (_name, _flood) in enumerate(FLOODS.items(), start=30):

    def _flooded(trap: Trap, flood: str = _flood) -> bytes:
        code = f"class Net(Module):\n{flood}\n  x : int\n".encode()
        root = PROTO[2] + name_of("__torch__", "Net") + b")\x81" + EMPTY_DICT + b"b."
        return archive({"m/data.pkl": root, "m/code/__torch__.py": code, "m/constants.pkl": PROTO[2] + b")" + STOP})

    ATTACKS.add(f"T6-{_number}", _name, f"TorchScript code of 900 KB of {_name.replace('_', ' ')}.",
                "https://owasp.org/www-community/attacks/Regular_expression_Denial_of_Service_-_ReDoS", _flooded,
                harmless() if "call" not in _name else named("torchscript_call", "high", "m/code"))  # fmt: skip
