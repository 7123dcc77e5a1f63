"""Cases of other scanners and ordinary files, each with its label: what the table beside theirs is made of.

The source distribution of modelaudit carries files; those of picklescan, modelscan and fickling carry the names that
they call unsafe, around which files are made anew. They are downloaded once, pinned by their digests, into the cache of
the test set-up; nothing of theirs is committed.
"""

from __future__ import annotations

import ast
import fcntl
import functools
import hashlib
import io
import json
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.attacks.frame import Harmless, Noted, Trap, catalogue
from tests.attacks.opcodes import PROTO, STOP, call, named, number, stacked, text
from tests.attacks.zips import Entry, archive
from tests.corpus import CACHE, corpus_dir
from tests.packages.fetch import fetch, manifest
from tests.service.readers.hf_uploads import entry, safetensors

FOLDER = CACHE.parent / "peers"
PEERS = {
    "picklescan": ("1.0.5", "1e220fc0e7eb2021eeb59ee71ce22d6a889ffb9f4d86d6f8272b8defe83ab9dd"),
    "modelscan": ("0.8.8", "34b134084370eb9832e0a7571297c3054ebfbff9f005992fe6f28ffc10135514"),
    "fickling": ("0.1.12", "83f6ccc948e21edb9ebd92795069536b47f481ce6add62598eac608b31576821"),
    "modelaudit": ("0.2.54", "87ffdef31b0a0f9f0bf65c1fbc920c3217300a8924a87d9b95715dd7ed70a5dc"),
}
"""Version and SHA-256 of each one's source distribution."""
ROWS = re.compile(r"(?:T|P)\d+-")
"""Attacks of our own catalogue that are pickles, which all of them read."""


class Case(NamedTuple):
    """One file or folder of a corpus. `malicious`: it would run what its author chose."""

    corpus: str
    name: str
    files: Mapping[str, bytes]
    malicious: bool

    @property
    def label(self) -> str:
        """As tests call it."""
        return f"{self.corpus}-{self.name}"


# Source distributions


@functools.cache
def distribution(name: str) -> dict[str, bytes]:
    """Every file of a scanner's source distribution, by its path within; RuntimeError where it is another one."""
    version, digest = PEERS[name]
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = FOLDER / f"{name}-{version}.tar.gz"
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes download once
        if not kept.exists():
            _download(name, version, kept)
    data = kept.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise RuntimeError(f"{kept} is not the distribution that is known")
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        files = [member for member in opened.getmembers() if member.isfile()]
        return {one.name.partition("/")[2]: _content(opened, one) for one in files}


def _content(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = opened.extractfile(member)
    return b"" if file is None else file.read()


def _download(name: str, version: str, kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as part:
        command = [
            sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-input", "--no-deps",
            "--no-binary", name, "--dest", part, f"{name}=={version}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name}=={version} could not be downloaded: {done.stderr[-2000:]}")
        (found,) = Path(part).iterdir()
        found.replace(kept)


# picklescan: its tests say which names each of its files holds


def picklescan() -> Iterator[Case]:
    """A file for each that its tests expect something of, made anew from the names they expect in it."""
    tree = ast.parse(distribution("picklescan")["tests/test_scanner.py"])
    results = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Call)
    }
    seen: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = _scanned(node)
            expected = _expected(node, results)
            if name and expected is not None and name not in seen:
                seen.add(name)
                yield Case("picklescan", name, {name: _remade(name, expected)}, any(bad for *_, bad in expected))


def _scanned(node: ast.Call) -> str | None:
    """The file that `assert_scan(file, ...)` or `compare_scan_results(scan_...(f"{root}/data/file"), ...)` is about."""
    words = [one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)] if node.args else []
    if not isinstance(node.func, ast.Name) or node.func.id not in ("assert_scan", "compare_scan_results") or not words:
        return None
    name = str(words[-1]).rpartition("/")[2]
    return name if "." in name else None


def _expected(node: ast.Call, results: Mapping[str, ast.expr]) -> list[tuple[str, str, bool]] | None:
    """(module, name, dangerous) of each global that is expected."""
    if len(node.args) < 2:
        return None
    given = node.args[1]
    given = results.get(given.id, given) if isinstance(given, ast.Name) else given
    found = []
    for one in ast.walk(given):
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id == "Global":
            words = [word.value for word in ast.walk(one) if isinstance(word, ast.Constant)]
            level = next(part.attr for part in ast.walk(one) if isinstance(part, ast.Attribute))
            found.append((*(["posix", *words][-2:]), level == "Dangerous"))
    return found


def _remade(name: str, names: list[tuple[str, str, bool]]) -> bytes:
    """A file of this kind that calls these names, one after the other."""
    old = "_v0" in name
    calls = [_call(module, function, old=old) + b"0" for module, function, _ in names]
    pickle = (b"" if old else PROTO[4]) + b"".join(calls) + b"}" + STOP
    if name.endswith(".npz"):
        return _zip({"a.npy": _array(pickle)})
    if name.endswith(".npy"):
        return _array(pickle) if names else _array(None)
    if name.endswith(".7z"):
        return b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(24) + pickle
    return archive([_entry(name, pickle)]) if name.endswith(".zip") else pickle


def _call(module: str, function: str, *, old: bool) -> bytes:
    if "unknown" in (module, function) or module.isdigit():
        return number(42) + text(function) + b"\x93"
    if module in ("torch", "numpy") and not function.islower():
        return named(module, function)
    return call(
        named(module, function) if old and "." not in function else stacked(module, function), text("echo pwned")
    )


def _entry(name: str, pickle: bytes) -> Entry:
    flag = re.search(r"_0x(\d+)\.zip", name)
    lies: dict[str, Any] = {"crc": 1} if "_crc" in name else {}
    other = {"name": b"data.txt"} if "central_directory" in name else {}
    flags = int(flag[1], 16) if flag else 0
    return Entry(b"data.pkl", pickle, flags=flags, local=lies, central={**lies, **other})


def _array(pickle: bytes | None) -> bytes:
    kind = "'|O'" if pickle is not None else "'<i8'"
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': (3,), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + (pickle or bytes(24))


def _zip(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return out.getvalue()


# modelscan and fickling: the names that they call unsafe


def modelscan() -> Iterator[Case]:
    """A pickle for each name in its settings."""
    tree = ast.parse(distribution("modelscan")["modelscan/settings.py"])
    tables = [
        ast.literal_eval(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "unsafe_globals"
    ]
    for table in tables:
        for modules in table.values():
            for module, names in modules.items():
                for name in ["run"] if names == "*" else names:
                    yield _calling("modelscan", module, name)


def fickling() -> Iterator[Case]:
    """A pickle for each module that it calls unsafe."""
    tree = ast.parse(distribution("fickling")["fickling/fickle.py"])
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "UNSAFE_IMPORTS":
            assert isinstance(node.value, ast.Call)
            for module in sorted(set(ast.literal_eval(node.value.args[0]))):
                yield _calling("fickling", module, "run")


def _calling(corpus: str, module: str, name: str) -> Case:
    pickle = PROTO[2] + call(named(module, name), text("echo pwned")) + STOP
    return Case(corpus, f"{module}.{name}.pkl", {f"{module}.{name}.pkl": pickle}, malicious=True)


# modelaudit: the files of its own tests

_NO_MODEL = (
    "manifests/",
    "sentencepiece/",
    "standalone/",
    "yaml/",
    "pipeline.skops",
    "safe_model.zip",
    "safe_savedmodel",
)
"""Texts, tokenizers and archives without a model: refused as what they are."""
_NOT_RUN = ("malicious_import.safetensors", "custom_layer_attack.h5", "loss_injection.h5", "metric_injection.h5")
"""Called malicious for a word in a text that nothing runs: metadata of safetensors, a custom class's name."""
_HARMLESS = re.compile(
    r"(?:^|/)(?:safe_|benign|simple_nested|edge_cases/|chatml|agpl_model|mixed_model|model_weights|embeddings)"
)


def modelaudit() -> Iterator[Case]:
    """The models in its tests, with the labels that their names give them; chat templates beside a small model."""
    for path, data in sorted(distribution("modelaudit").items()):
        name = path.removeprefix("tests/assets/")
        model = re.match(r"(?:exploits|pickles|samples|scenarios)/", name) and not name.endswith((".py", ".md", ".csv"))
        if name == path or not model or any(part in name for part in (*_NO_MODEL, *_NOT_RUN)) or "LICENSE" in name:
            continue
        if name.endswith(".json"):
            if "jinja2/" not in name:
                continue
            files = {**_LLAMA, "m/tokenizer_config.json": data}
        else:
            files = {Path(name).name: data}
        yield Case("modelaudit", name, files, malicious=not _HARMLESS.search(name))


_CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1,
           "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 16}  # fmt: skip
_LLAMA = {
    "m/config.json": json.dumps(_CONFIG).encode(),
    "m/model.safetensors": safetensors({"model.embed_tokens.weight": entry(0, 512, [16, 8])}, bytes(512)),
}


# Ours, and ordinary files


def own(trap: Trap) -> Iterator[Case]:
    """The pickles of our own catalogue, with endings that other scanners go by; none that only contradicts itself."""
    for attack in catalogue():
        if ROWS.match(attack.id) and not isinstance(attack.expects, Noted):
            files = {_ended(name, data): data for name, data in attack.files(trap).items()}
            yield Case("our own", attack.label, files, not isinstance(attack.expects, Harmless))


def _ended(name: str, data: bytes) -> str:
    if "." in name:
        return name
    return f"{name}.pt" if data.startswith(b"PK") else f"{name}.pkl"


_PICKLED = ("torch_zip", "torch_legacy", "numpy_pickle", "npy", "npz", "torchscript")


def ordinary() -> Iterator[Case]:
    """Files that do nothing but hold data: what PyTorch, pickle and joblib write, and models of public packages."""
    for corpus in ("torch_files", "torch_ordinary"):
        for path in sorted(corpus_dir(corpus).iterdir()):
            if path.suffix in (".pt", ".pth", ".pkl", ".ckpt", ".bin", ".tar", ".pt2") and path.name != "fx_module.pt":
                yield Case("ordinary", path.name, {path.name: path.read_bytes()}, malicious=False)
    for shipped in (*manifest("manifest"), *manifest("numpy")):
        if shipped.format in _PICKLED:
            data = fetch(shipped).read_bytes()
            if len(data) < 8 << 20:
                name = f"{shipped.package}-{Path(shipped.path).name}"
                yield Case("ordinary", name, {name: data}, malicious=False)


THEIRS: Mapping[str, Callable[[], Iterator[Case]]] = {
    "picklescan": picklescan, "modelscan": modelscan, "fickling": fickling, "modelaudit": modelaudit,
    "ordinary": ordinary,
}  # fmt: skip


def everything(trap: Trap) -> list[Case]:
    """All corpora, theirs first."""
    return [*(case for cases in THEIRS.values() for case in cases()), *own(trap)]
