"""Attacks by what lies beside the model that is read, in its archive or folder: rows A16, P6 and C1."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

from tests.attacks.frame import Attacks, Files, Outcome, Trap, harmless, named, refused
from tests.attacks.hugging_face import CONFIG, WEIGHTS
from tests.attacks.opcodes import PROTO, STOP, system
from tests.attacks.torch_files import CLEAN, ELF, WHOLE, archive, payload, saved

ATTACKS = Attacks()
JOBLIB = "https://joblib.readthedocs.io/en/stable/generated/joblib.dump.html (compress)"
TRIED = "tried here: what lies in folders beside models"
FOLDER = {"model.safetensors": WEIGHTS, "config.json": json.dumps(CONFIG).encode()}
DLL = b"MZ" + bytes(58) + struct.pack("<I", 128) + bytes(64) + b"PE\0\0" + bytes(60)
BYTECODE = b"\xa7\x0d\x0d\x0a" + bytes(12) + b"\xe3" + bytes(60)
KERAS = json.dumps({"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": []}}).encode()


def attack(id_: str, name: str, idea: str, make: Any, expects: Outcome, source: str = TRIED) -> None:
    """One of these."""
    ATTACKS.add(id_, name, idea, source, make, expects)


def beside(id_: str, name: str, file: str, data: bytes, expects: Outcome) -> None:
    """A file in a folder that no reader takes."""
    attack(id_, name, "A file lies beside the weights of a folder.", lambda _: {**FOLDER, file: data}, expects)


def old(trap: Trap) -> bytes:
    """A pickle of the first protocol, which has no mark."""
    return payload(trap).removeprefix(PROTO[2])


def objects(pickle: bytes) -> bytes:
    """A .npy of one object."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + pickle


# Code


for at, (name, file, data, expects) in enumerate(
    [
        ("a_library", "libop.so", ELF, named("native_library", "high", "libop.so")),
        ("a_library_by_another_name", "vocab.bin", ELF, named("native_library", "high", "vocab.bin")),
        ("a_library_of_windows", "op.dll", DLL, named("native_library", "high", "op.dll")),
        (
            "a_library_of_macos",
            "op.dylib",
            b"\xcf\xfa\xed\xfe" + bytes(90),
            named("native_library", "high", "op.dylib"),
        ),
        ("bytecode", "m.pyc", BYTECODE, named("python_code", "medium", "m.pyc")),
        ("bytecode_by_another_name", "m.dat", BYTECODE, named("python_code", "medium", "m.dat")),
        ("code_that_transformers_runs", "modeling_x.py", b"x", named("python_code", "medium", "modeling_x.py")),
        ("code_that_generates", "custom_generate/generate.py", b"x", named("python_code", "medium", "generate.py")),
        ("code_of_an_endpoint", "handler.py", b"x", named("python_code", "medium", "handler.py")),
        ("a_script", "train.py", b"x", named("python_code", "low", "train.py")),
        ("letters_that_begin_a_program", "notes.txt", b"MZ is no program", harmless()),
    ],
    start=20,
):
    beside(f"A16-{at}", name, file, data, expects)


@ATTACKS("A16-40", source="https://docs.pytorch.org/serve/custom_service.html", expects=named("python_code", "medium"))
def handler_of_torchserve(trap: Trap) -> bytes:
    """An archive for TorchServe, which runs the handler in it, whatever it is called."""
    manifest = b'{"model":{"handler":"serve_it.py","serializedFile":"m.pt"}}'
    return archive(
        {"MAR-INF/MANIFEST.json": manifest, "serve_it.py": trap.python.encode(), "m.pt": saved(CLEAN, storages=WHOLE)}
    )


@ATTACKS("A16-41", source=TRIED, expects=named("python_code", "medium", "odd.py"))
def code_that_a_document_names(trap: Trap) -> Files:
    """`auto_map` names a module of no particular name."""
    config = {**CONFIG, "auto_map": {"AutoModel": "odd.Model"}}
    return {**FOLDER, "config.json": json.dumps(config).encode(), "odd.py": trap.python.encode()}


# Pickles in members


PADDINGS: dict[str, bytes] = {
    "nothing_put_and_dropped": b"N0" * 200,
    "a_list_and_numbers": b"(lp0\n0" + b"I1\n0" * 20,
    "a_dictionary_of_protocol_one": b"}q\x000" + b"K\x010" * 40,
    "an_empty_text": b"(S''\n1" * 30,
}
for at, (name, padding) in enumerate(PADDINGS.items(), start=60):
    attack(
        f"P6-{at}",
        f"{name}_before_the_payload",
        "The member's first bytes are opcodes that do nothing, and name nothing.",
        lambda trap, padding=padding: saved(CLEAN, {"m/extra.pkl": padding + old(trap)}, WHOLE),
        named("pickle_global", "critical", "m/extra.pkl"),
    )
attack(
    "P6-64",
    "padding_in_a_member_of_no_ending",
    "Nothing but its first opcode tells that it is a pickle.",
    lambda trap: saved(CLEAN, {"m/extra": b"N0" * 200 + old(trap)}, WHOLE),
    named("pickle_global", "critical", "m/extra"),
)
attack(
    "P6-65",
    "padding_in_a_keras_file",
    "An asset of Keras is a pickle.",
    lambda trap: archive(
        {"config.json": KERAS, "metadata.json": b'{"keras_version":"3.5.0"}', "assets/v.pkl": b"N0" * 200 + old(trap)}
    ),
    named("pickle_global", "critical", "assets/v.pkl"),
)

PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "two_gzips": lambda data: gzip.compress(data[:9], mtime=0) + gzip.compress(data[9:], mtime=0),
    "bz2": bz2.compress,
    "two_bz2": lambda data: bz2.compress(data[:9]) + bz2.compress(data[9:]),
    "xz": lzma.compress,
    "strongest_xz": lambda data: lzma.compress(data, preset=9),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
}
for at, (name, pack) in enumerate(PACKINGS.items(), start=70):
    attack(
        f"P6-{at}",
        f"{name}_in_a_folder",
        "joblib opens what it wrote compressed, by its first bytes.",
        lambda trap, pack=pack: {**FOLDER, "prep.joblib": pack(payload(trap))},
        refused("inconsistent_archive") if name == "two_gzips" else named("pickle_global", "critical", "prep.joblib"),
        JOBLIB,
    )
    attack(
        f"P6-{at + 10}",
        f"{name}_in_an_archive",
        "The same as a member beside data.pkl.",
        lambda trap, pack=pack: saved(CLEAN, {"m/prep.joblib": pack(payload(trap))}, WHOLE),
        named("pickle_global", "critical", "prep.joblib"),
        JOBLIB,
    )
attack(
    "P6-90",
    "packed_as_is_not_opened_here",
    "joblib reads LZ4 where that is installed.",
    lambda trap: {**FOLDER, "prep.joblib": b"\x04\x22\x4d\x18" + payload(trap)},
    named("pickle_unsearched", "low", "prep.joblib"),
    JOBLIB,
)


@ATTACKS("P6-91", source="https://numpy.org/doc/stable/reference/generated/numpy.load.html",
         expects=named("pickle_global", "critical", "m/extra.npy"))  # fmt: skip
def array_of_objects_beside(trap: Trap) -> bytes:
    """A member is an array of objects, which NumPy keeps as a pickle."""
    return saved(CLEAN, {"m/extra.npy": objects(payload(trap))}, WHOLE)


@ATTACKS("P6-92", source=TRIED, expects=named("pickle_global", "critical", "model.weights.npz!/__root__.npy"))
def array_of_objects_in_an_archive_in_keras(trap: Trap) -> bytes:
    """The weights of a Keras file are an .npz of an array of objects."""
    npz = archive({"__root__.npy": objects(payload(trap))})
    return archive({"config.json": KERAS, "metadata.json": b'{"keras_version":"3.5.0"}', "model.weights.npz": npz})


@ATTACKS("P6-93", source="CWE-409", expects=named("pickle_unsearched", "medium"))
def padding_beyond_what_is_unpacked(trap: Trap) -> bytes:
    """The payload comes after more padding than is unpacked of any member: that much is said."""
    out = io.BytesIO(saved(CLEAN, storages=WHOLE))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr(zipfile.ZipInfo("m/extra.pkl"), b"N0" * 10_000_000 + old(trap), zipfile.ZIP_DEFLATED)
    return out.getvalue()


@ATTACKS("P6-94", source="CWE-400", expects=named("pickle_unsearched", "medium"))
def more_padding_than_is_run(trap: Trap) -> bytes:
    """Hundreds of members of opcodes that do nothing are before the one with the payload."""
    more = {f"m/{at}.pkl": b"N0" * 150_000 + b"N." for at in range(40)}
    return archive(
        {"m/data.pkl": CLEAN, "m/version": b"3\n", "m/data/0": bytes(24), **more, "m/z.pkl": payload(trap)},
        zipfile.ZIP_DEFLATED,
    )


@ATTACKS("P6-95", source=TRIED, expects=harmless())
def storage_that_reads_as_a_pickle(trap: Trap) -> bytes:
    """The numbers of a tensor are a pickle's bytes: nothing loads a storage as one, so it is no danger."""
    return archive(
        {"m/data.pkl": CLEAN, "m/version": b"3\n", "m/byteorder": b"little",
         "m/data/0": (PROTO[2] + system("id") + STOP).ljust(24, b"\0")[:24]}
    )  # fmt: skip


@ATTACKS("P6-96", source=TRIED, expects=named("pickle_global", "critical", "z.pkl"))
def grave_dangers_behind_many_lesser_ones(trap: Trap) -> Files:
    """Hundreds of names that are worth little fill no list that the payload should stand in."""
    decoys = b"".join(b"_target_: a.C%d\n" % at for at in range(500))
    more = {f"{letter}.yaml": decoys.replace(b"a.C", b"%c.C" % letter.encode()) for letter in "abc"}
    return {**FOLDER, **more, "z.pkl": b"N0" * 20 + old(trap)}


# Configurations


def nemo(text: bytes) -> bytes:
    """An archive of NeMo: a configuration and weights."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:") as target:
        for name, data in {"./model_config.yaml": text, "./model_weights.ckpt": saved(CLEAN, storages=WHOLE)}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return out.getvalue()


TARGET = named("hydra_target", "high", "model_config.yaml")
TAG = named("yaml_tag", "critical", "model_config.yaml")
HONEST = b"""# _target_: os.system
encoder:
  _target_: nemo.collections.asr.modules.Conformer
optim:
  _target_: torch.optim.AdamW
  betas: !!python/tuple [0.9, 0.98]
"""
YAML: list[tuple[str, bytes, Outcome]] = [
    ("a_target", b"encoder:\n  _target_: os.system\n  command: id\n", TARGET),
    ("a_target_in_quotation_marks", b'a: {"_target_":"os.system", command: id}', TARGET),
    ("a_target_in_escapes", b'a: {"_targ\\x65t_": "os.sys\\u0074em"}', TARGET),
    ("a_target_on_the_next_line", b"a:\n  _target_: # what\n    >-\n    os.system\n", TARGET),
    ("a_target_by_an_anchor", b"a: &x os.system\nb:\n  _target_: *x\n", TARGET),
    ("a_key_by_an_anchor", b"a: &x _target_\nb:\n  *x : os.system\n", TARGET),
    ("a_target_with_a_tag", b"_target_: !!str os.system\n", TARGET),
    ("a_target_behind_what_is_no_comment", b"a: {b: 'x\n# ', _target_: os.system}\n", TARGET),
    ("a_target_in_sixteen_bits", "_target_: os.system\n".encode("utf-16"), TARGET),
    ("a_target_behind_another_package", b"_target_: torch.nn.functional.warnings.os.system\n", TARGET),
    ("a_target_of_a_package_that_compiles", b"_target_: torch.utils.cpp_extension.load_inline\n", TARGET),
    ("a_target_put_together", b"_target_: ${a}.${b}\n", named("hydra_target", "medium", "model_config.yaml")),
    ("a_function_of_any_package", b"_target_: any.thing.helper\n", named("hydra_target", "medium")),
    ("a_class_of_any_package", b"_target_: any.thing.Helper\n", named("hydra_target", "low")),
    ("a_tag_that_calls", b"a: !!python/object/apply:os.system ['id']\n", TAG),
    ("a_tag_by_its_whole_name", b"a: !<tag:yaml.org,2002:python/object/apply:os.system> ['id']\n", TAG),
    ("a_tag_by_another_handle", b"%TAG !e! tag:yaml.org,2002:python/\n---\na: !e!object/apply:os.system ['id']\n", TAG),
    ("a_tag_in_percent_signs", b"a: !!p%79thon/object/apply:os.system ['id']\n", TAG),
    ("a_tag_of_an_unknown_class", b"a: !!python/object:any.Thing {}\n", named("yaml_tag", "high")),
    ("an_honest_configuration", HONEST, harmless()),
]  # fmt: skip
for at, (name, written, expects) in enumerate(YAML, start=50):
    attack(f"C1-{at}", name, "NeMo's configuration says what is called.", lambda _, written=written: nemo(written),
           expects, "CVE-2025-23304")  # fmt: skip


def document(id_: str, name: str, file: str, value: Any, expects: Outcome) -> None:
    """A document of a folder that names code."""
    beside(id_, name, file, json.dumps(value).encode(), expects)


REMOTE = named("remote_code", "medium")
document("C1-80", "modules_of_ones_own", "modules.json", [{"idx": 0, "name": "0", "path": "", "type": "mine.Module"}],
         REMOTE)  # fmt: skip
OWN = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
document("C1-81", "modules_of_the_library", "modules.json", [OWN], harmless())
document("C1-82", "a_part_of_a_pipeline", "model_index.json",
         {"_class_name": "StableDiffusionPipeline", "unet": ["my_pipeline", "X"]}, REMOTE)  # fmt: skip
document("C1-83", "a_way_to_generate", "generation_config.json", {"custom_generate": "evil/repo"}, REMOTE)
document("C1-84", "a_target_in_a_document_beside", "model/params.json", {"a": {"_target_": "os.system"}},
         named("hydra_target", "high", "params.json"))  # fmt: skip
beside("C1-85", "a_key_in_escapes", "params.json", b'{"\\u005ftarget_": "os.system"}',
       named("hydra_target", "high", "params.json"))  # fmt: skip
