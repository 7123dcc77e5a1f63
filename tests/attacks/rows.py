"""The threat catalogue's rows, each in a few words: what `test_rows.py` asks attacks of, and `table.py` counts."""

from __future__ import annotations

KERAS = {
    "K1": "a Lambda layer holds marshalled bytecode",
    "K2": "the configuration names a function of any module",
    "K3": "functions of Keras itself that fetch and unpack",
    "K4": "the configuration switches safe mode off",
    "K5": "the legacy format, where safe mode does not count",
    "K6": "a PyTorch module, pickled, inside a Keras layer",
    "K7": "a vocabulary that is a path or an address",
    "K8": "a tar archive that leaves its folder through links",
    "K9": "a tiny file that declares a huge weight",
    "K10": "weights that lie in a file of the host",
    "K11": "a layer that loads a SavedModel by its path",
    "K12": "a layer's name that becomes a path",
    "K13": "an archive member that climbs out of its folder",
    "K14": "an asset that climbs out of its folder",
    "K15": "members that unpack without end",
    "K16": "configurations that cost: depth, cycles, odd sizes",
    "K17": "numbers beyond all bounds, keys twice",
}
PICKLES = {
    "T1": "a pickle that calls a program",
    "T2": "the legacy tar form of PyTorch",
    "T3": "a pickle that confuses types and sizes of storage",
    "T4": "exported programs: pickled constants, compiled code",
    "T5": "sparse tensors whose indices lie outside",
    "T6": "TorchScript: code, constants and extra files",
    "T7": "functions of PyTorch that evaluate or load",
    "T8": "a fall-back from a safe way of loading to an unsafe one",
    "P1": "names that no list of bad names has",
    "P2": "names put together on the pickle's stack, objects that act in another's place",
    "P3": "frames that lie about their length",
    "P4": "pickles within strings, encoded and compressed",
    "P5": "pickles that break after they have run",
    "P6": "several pickles in a stream, other protocols, other containers",
    "P7": "opcodes that cost time and memory",
}
ARCHIVES = {
    "A1": "members that unpack without end",
    "A2": "members that overlap",
    "A3": "sizes that lie",
    "A4": "a member's two headers disagree",
    "A5": "names twice, two archives in one file, data before it",
    "A6": "a wrong checksum",
    "A7": "encrypted members",
    "A8": "hundreds of thousands of members",
    "A9": "counters and places of the 64-bit form that lie",
    "A10": "names that are paths, or no names",
    "A11": "archives within archives, and in themselves",
    "A12": "links, devices and sparse files in tar",
    "A13": "links that pass filters of extraction",
    "A14": "negative, huge and overridden sizes in tar",
    "A15": "compressed files that unpack without end",
    "A16": "files of two formats at once",
    "A17": "links and renames where uploads lie",
    "A18": "identifiers and digests that are paths",
}
HDF5 = {
    "H1": "external links",
    "H2": "values in other files",
    "H3": "virtual datasets",
    "H4": "structures that crashed the library",
    "H5": "groups thousands deep",
    "H6": "groups in circles, links that double",
    "H7": "chunks that unpack without end, filters of plugins",
    "H8": "giant attributes, references, cut files",
    "H9": "mutants",
}
GRAPHS = {
    "O1": "ONNX weights in files outside the folder",
    "O2": "ONNX places and sizes that lie",
    "O3": "ONNX graphs within graphs, recursive functions",
    "O4": "ONNX files of a million sizes, nodes, uses",
    "O5": "protobuf: groups, numbers and lengths without end",
    "O6": "ONNX operators of somebody else's",
    "V1": "TensorFlow operations that touch files, code or the network",
    "V2": "TensorFlow graphs that crashed its loader",
    "V3": "TensorFlow checkpoint indices that lie",
    "L1": "flatbuffers whose offsets lead astray",
}
CONTAINERS = {
    "G1": "GGUF counts, lengths and offsets that lie",
    "G2": "chat templates that leave the sandbox",
    "S1": "safetensors headers that lie",
    "S2": "safetensors with too much in it",
    "N1": "NumPy headers that lie, arrays of objects",
}
DOCUMENTS = {
    "J1": "JSON depth, numbers and keys that cost",
    "J2": "numbers that are none",
    "J3": "keys twice, half characters, other encodings",
    "J4": "specifications with wrong types and unknown layers",
    "C1": "configurations that name code",
}
SERVICE = {
    "W1": "addresses in the place of a file",
    "W2": "multipart bodies of many and strange parts",
    "W3": "lists of a hundred thousand wrong items",
    "W4": "requests of unclear length",
    "W5": "slow and idle connections",
    "W6": "compressed request bodies",
    "W7": "names that act where they are shown",
    "W8": "analyses of somebody else",
    "W9": "paths and stack traces in answers",
    "W10": "keys in strange forms and places",
    "W11": "uploads that fill the disk",
    "W12": "files that Python would import by their name",
}
ROWS = {**KERAS, **PICKLES, **ARCHIVES, **HDF5, **GRAPHS, **CONTAINERS, **DOCUMENTS, **SERVICE}
TESTED = frozenset({"A17", "A18", *SERVICE})
"""Rows about the service around the files: a test that names the row stands for an attack."""
