"""Hostile names: what acts in a terminal, a spreadsheet, a browser, a Markdown page, a picture or a diagram. Row W7.

As layers', tensors', metadata's and files' names in several formats; `test_names.py` asks each view's own parser.
"""

from __future__ import annotations

import io
import zipfile

import numpy as np
from onnx import helper

from tests.attacks.keras_files import archive, dense, sequential
from tests.service.parsers.ggufs import Tensor, Writer
from tests.service.readers.hf_uploads import entry, safetensors
from tests.service.readers.onnx_files import floats, graph, model

TERMINAL = (
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]0;title\x07",
    "\x9b31mc1",
    "\x07bell",
    "conv\b\b\b\bevil",
    "shown\rhidden",
    "two\nlines",
    "a\u2028b\u2029c",
    "nul\x00byte",
    "del\x7f",
    "\x85next",
    "tab\tstop",
    "\u202egnp.exe",
    "\u2066isolate\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "\u200emark",
    "\u061carabic",
    "tag\U000e0041",
    "\u3164",
    "soft\u00adhyphen",
    "\ue000private",
)
FORMULAS = (
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-1+1",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    '=HYPERLINK("http://x")',
    "＝1＋1",
    "＠SUM(1)",
    "a;=1+1",
    'a;"=1+1',
    "a,=1+1",
    'quote"inside',
    "'=1",
)
MARKUP = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "<!-- comment",
    "--> end",
    "<![CDATA[x]]>",
    "]]>",
    "&lt;b&gt;&#64;",
    "<svg onload=alert(1)>",
    "</title></style></text>",
    "<a xlink:href='javascript:1'>",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>&x;",
    "{{ 7 * 7 }}{% include 'x' %}",
    "${7*7}",
)
MARKDOWN = (
    "[link](javascript:alert(1))",
    "![img](http://evil.example/p.png)",
    "<http://evil.example>",
    "http://evil.example/x",
    "www.evil.example",
    "a|b|c",
    "`code`",
    "``",
    "**bold** _it_ ~~no~~",
    "# heading",
    "1. list",
    "- item",
    "> quote",
    "---",
    "[ref]: http://evil.example",
    "$x$",
    "\\",
    "a\\|b",
    "@everyone",
    "owner/repo#1",
    "&copy;",
    "<br>",
    "    indented",
)
DIAGRAMS = (
    '"]; click b1 "javascript:alert(1)"',
    '" URL="javascript:alert(1)',
    "a --> b",
    "end",
    "%%{init: {}}%%",
    '\\N\\l\\"',
    "subgraph x",
    "x]:::evil",
    "#quot;",
    'b"; b0 -> b1 [label="',
    "{|}",
    "<<b>x</b>>",
)
LENGTH = ("n" * 5000, "\u0301" * 300, "👩\u200d👩\u200d👧", "名" * 200, "../../../etc/passwd", "C:\\x", "con", "..", "")
NAMES = (*TERMINAL, *FORMULAS, *MARKUP, *MARKDOWN, *DIAGRAMS, *LENGTH)


def of_safetensors(names: tuple[str, ...] = NAMES) -> bytes:
    """Tensors and metadata of these names."""
    unique = sorted({f"{name}.{leaf}" for name in names for leaf in ("weight", name)})
    tensors = {name: entry(4 * at, 4 * at + 4, [1]) for at, name in enumerate(unique)}
    return safetensors({**tensors, "__metadata__": {name or "-": name for name in names}}, bytes(4 * len(unique)))


def of_onnx(names: tuple[str, ...] = NAMES) -> bytes:
    """Nodes, operators, domains, tensors and metadata of these names."""
    nodes, weights, last = [], [], "x"
    for at, name in enumerate(names):
        weights.append(floats(f"{at}{name}", 4, 4))
        nodes.append(helper.make_node("MatMul", [last, f"{at}{name}"], [f"{name}{at}"], name=name))
        nodes.append(helper.make_node(name or "Op", [f"{name}{at}"], [f"{name}{at}o"], name=f"{name}2", domain=name))
        last = f"{name}{at}o"
    made = model(graph(nodes, {"x": [1, 4]}, [last], weights), domains=["d"])
    for name in names:
        made.metadata_props.add(key=name, value=name)
    made.graph.name = made.producer_name = names[0]
    return bytes(made.SerializeToString())


def of_keras(names: tuple[str, ...] = NAMES) -> bytes:
    """Layers, classes and the model of these names."""
    layers = []
    for name in names:
        layers.append(dense(name))
        layers.append({**dense(f"{name}2"), "class_name": name or "Own", "module": name, "registered_name": name})
    made = sequential(*layers)
    made["config"]["name"] = names[0]
    return archive(made)


def of_gguf(names: tuple[str, ...] = NAMES) -> bytes:
    """Tensors and metadata of these names."""
    unique = sorted({name for name in names if 0 < len(name.encode()) < 60})
    facts = [("general.architecture", "string", unique[0]), ("general.name", "string", unique[1])]
    head = Writer().header(facts, [Tensor(name, (32,), 0, 128 * at) for at, name in enumerate(unique)])
    return head.ljust(len(head) + -len(head) % 32, b"\0") + bytes(128 * len(unique))


def of_npz(names: tuple[str, ...] = NAMES) -> bytes:
    """Members of these names."""
    out, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.ones(2, "float32"))
    with zipfile.ZipFile(out, "w") as file:
        for name in sorted({name for name in names if name and "\0" not in name and len(name) < 1000}):
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), array.getvalue())
    return out.getvalue()


FORMATS = {"safetensors": of_safetensors, "onnx": of_onnx, "keras": of_keras, "gguf": of_gguf, "npz": of_npz}
