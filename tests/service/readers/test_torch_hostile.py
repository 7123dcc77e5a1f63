"""Damaged, lying and malicious PyTorch files: an InputError with a place, or a report of what would have run."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.tree import Model
from tests.service.parsers.pickles import call, text
from tests.service.readers.torch_archives import archive, content, mapping, number, read, sizes, tensor, weights

DAMAGED = [
    "net_module.pt",
    "checkpoint.pt",
    "zoo_module.pt",
    "quantized_dynamic_module.pt",
    "script.pt",
    "net.pt2",
    "net_2_5.pt2",
    "oldest.tar",
    "net_module_legacy.pth",
    "recurrent_state_legacy.pth",
    "plain_state.pkl",
    "lazy_module.pt",
]


def refusal(data: bytes) -> InputError | None:
    """Why a file is refused, None if it is read or nobody's."""
    try:
        read(data)
    except InputError as error:
        return error
    return None


def codes(found: Model | None) -> set[str]:
    assert found is not None
    return {danger.code for danger in found.security}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_cut_anywhere_is_refused_in_words(name: str) -> None:
    """At 60 places from the first byte on: nothing but InputErrors, most of them `truncated_file`.

    (A tar has up to 10 KiB of padding behind its end marker, which may go missing.)
    """
    data = content(name)
    cut = 0
    for place in sorted(random.Random(7).sample(range(len(data)), 60)):  # noqa: S311 - repeatable places, no secret
        cut += isinstance(refusal(data[:place]), TruncatedFile)
    assert cut > (20 if name.endswith(".tar") else 30)


@pytest.mark.parametrize("name", DAMAGED)
def test_flipped_bits_never_break_a_reader(name: str) -> None:
    """150 files with one to eight changed bytes: a model or an InputError."""
    data, chance = content(name), random.Random(11)  # noqa: S311 - repeatable damage, no secret
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 8])):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        error = refusal(bytes(changed))
        assert error is None or error.info.detail


def test_a_cut_legacy_file_names_the_storage_that_is_missing() -> None:
    """The stream's last storage ends early: truncated, at the place where its bytes begin."""
    data = content("net_state_legacy.pth")
    with pytest.raises(TruncatedFile) as error:
        read(data[:-1])
    assert error.value.info.offset is not None


Payload = Callable[[bytes], bytes]

PAYLOADS: dict[str, Payload] = {
    "reduce": lambda command: call("os", "system", command),
    "subprocess": lambda command: call("subprocess", "getoutput", command),
    "inst": lambda command: b"(" + command + b"ios\nsystem\n",
    "object": lambda command: b"(cos\nsystem\n" + command + b"o",
    "stack_global": lambda command: text("os") + text("system") + b"\x93" + command + b"\x85R",
    "newobj": lambda command: b"csubprocess\nPopen\n(](" + text("sh") + text("-c") + command + b"et\x81",
    "hidden_by_pop": lambda command: call("os", "system", command) + b"0N",
    "memo": lambda command: text("system") + b"\x940" + text("os") + b"h\x00\x93" + command + b"\x85R",
    "partial": lambda command: call("functools", "partial", b"cos\nsystem\n", command) + b")R",
    "resolve_name": lambda command: call("pkgutil", "resolve_name", text("os:system")) + b"(" + command + b"tR",
    "import": lambda command: (
        call("builtins", "getattr", call("builtins", "__import__", text("os")), text("system")) + command + b"\x85R"
    ),
    "type_v2": lambda command: call(
        "torch._tensor", "_rebuild_from_type_v2", b"cos\nsystem\n", b"N", b"(" + command + b"t", b"N"
    ),
    "map": lambda command: call("builtins", "list", call("builtins", "map", b"cos\nsystem\n", b"](" + command + b"e")),
    "build": lambda command: (
        b"ccollections\nOrderedDict\n}" + text("__init__") + b"cos\nsystem\nsb" + b"(" + command + b"tR"
    ),
}


@pytest.mark.parametrize("name", sorted(PAYLOADS))
@pytest.mark.parametrize("container", ["zip", "legacy", "plain", "broken"])
def test_payloads_are_listed_and_never_run(name: str, container: str, tmp_path: Path) -> None:
    """Fourteen ways to run a command in four containers, one broken behind it: listed as high or critical."""
    marker = tmp_path / "m"
    pickle = b"\x80\x04" + PAYLOADS[name](text(f"touch {marker}"))
    data = {
        "zip": archive(pickle + b"."),
        "legacy": content("net_state_legacy.pth")[:15] + b"\x80\x02M\xe9\x03." + pickle + b".",
        "plain": pickle + b".",
        "broken": archive(pickle + b"R\xff"),
    }[container]
    found = read(data)
    assert found is not None
    assert {danger.severity for danger in found.security} & {"critical", "high"}
    assert found.complete is (container in ("zip", "plain"))
    assert not marker.exists()


def test_a_file_broken_behind_a_payload_is_reported() -> None:
    """What would have run before the break is listed, nothing else is claimed (P5)."""
    found = read(archive(call("os", "system", text("ls")) + b"\xff"))
    assert found is not None
    assert (found.complete, found.layers) == (False, ())
    assert codes(found) == {"pickle_global", "broken_after_payload"}


def test_a_broken_file_without_a_payload_is_refused() -> None:
    """With the member and the byte."""
    with pytest.raises(MalformedFile) as error:
        read(archive(b"}\xff"))
    assert (error.value.info.member, error.value.info.offset) == ("m/data.pkl", 1)


@pytest.mark.parametrize("size", [20, 28])
def test_a_storage_of_another_size_than_declared_is_listed(size: int) -> None:
    """6 float32 are 24 bytes; a shorter or longer member is CVE-2026-24747 (T3)."""
    found = read(archive(mapping(w=tensor("0", 6, (2, 3), (3, 1))) + b".", {"0": size}))
    assert codes(found) == {"storage_size_mismatch"}
    assert found is not None
    assert weights(found)["w"].shape == (2, 3)


def test_a_view_beyond_its_storage_is_listed() -> None:
    """Offset and strides must stay within the declared elements."""
    assert codes(read(archive(mapping(w=tensor("0", 6, (2, 3), (30, 1))) + b".", {"0": 24}))) == {"storage_overrun"}
    assert codes(read(archive(mapping(w=tensor("0", 6, (2, 3), (3, 1), offset=1)) + b".", {"0": 24}))) == {
        "storage_overrun"
    }


def test_a_missing_storage_is_listed() -> None:
    """The pickle names a member that is not there."""
    assert codes(read(archive(mapping(w=tensor("9", 6, (2, 3), (3, 1))) + b"."))) == {"storage_missing"}


@pytest.mark.parametrize(
    ("pickle", "storages", "gone"),
    [
        (tensor("9", 6, (2, 3), (3, 1)), {}, True),
        (tensor("0", 6, (2, 3), (3, 1)), {"0": 23}, True),
        (tensor("0", 6, (2, 3), (3, 1), offset=1), {"0": 24}, True),
        (tensor("9", 6, (0, 3), (3, 1)), {}, False),
        (tensor("0", 6, (2, 3), (3, 1)), {"0": 25}, False),
    ],
)
def test_an_answer_without_the_values_is_not_complete(pickle: bytes, storages: dict[str, int], gone: bool) -> None:
    """A tensor whose bytes are not, or not wholly, there is a finding, and a note says that the answer is partial.

    A tensor of no elements lacks nothing, and more bytes than are needed hold the values as well.
    """
    found = read(archive(mapping(w=pickle) + b".", storages))
    assert found is not None
    assert [(one.rule, one.severity, one.path) for one in found.findings] == [("data_missing", "high", "w")] * gone
    assert found.complete is not gone
    assert any("not wholly" in str(note) for note in found.notes) is gone


def test_a_missing_storage_is_told_once_for_all_that_see_it_alike() -> None:
    """A tied tensor is not missing twice."""
    one = tensor("9", 6, (2, 3), (3, 1))
    found = read(archive(mapping(v=one, w=one) + b"."))
    assert found is not None
    assert [(finding.rule, finding.path) for finding in found.findings] == [("data_missing", "v")]


@pytest.mark.parametrize(
    ("shape", "stride", "stored", "severity"),
    [
        ((2, 3), (3, 1), None, None),
        ((3, 2), (1, 3), None, None),
        ((5, 6), (0, 1), 6, "low"),
        ((2, 3), (2, 0), 2, "low"),  # from the first to the last element it is three
        ((4, 3), (1, 1), 6, "low"),
        ((1000, 1000), (0, 0), 1, "low"),
        ((10**6, 10**6), (0, 0), 1, "high"),
    ],
)
def test_elements_that_are_stored_once_and_counted_often(
    shape: tuple[int, ...], stride: tuple[int, ...], stored: int | None, severity: str | None
) -> None:
    """A tensor that expand() made is counted by its shape and said to be less in the file: low.

    Beyond 64 MiB and a thousand times what is stored, it is no tensor that anybody made to be used: high.
    """
    found = read(archive(mapping(w=tensor("0", 6, shape, stride)) + b".", {"0": 24}))
    assert found is not None
    assert weights(found)["w"].stored_count == stored
    told = [("torch_repeated_elements", severity, "w")] if severity else []
    assert [(one.rule, one.severity, one.path) for one in found.findings] == told
    assert any("counted by their shapes" in str(note) for note in found.notes) is bool(severity)
    assert found.complete


def test_items_set_on_a_tensor_are_type_confusion() -> None:
    """SETITEM on what no dictionary can be (T3)."""
    inner = mapping(w=tensor("0", 6, (2, 3), (3, 1)))
    assert "pickle_type_confusion" in codes(read(archive(b"]" + text("a") + b"Ns0" + inner + b".", {"0": 24})))


@pytest.mark.parametrize(
    "bad",
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(tR",
        b"ctorch._utils\n_rebuild_tensor_v2\n(NK\x00" + sizes(2) + sizes(1) + b"\x89NtR",
        tensor("0", 6, (-1, 3), (3, 1)),
        tensor("0", 6, (2, 3), (1,)),
        tensor("0", -6, (2, 3), (3, 1)),
        b"ctorch._utils\n_rebuild_parameter\n(" + b"ctorch._utils\n_rebuild_sparse_tensor\n(N)tR" + b"\x88NtR",
    ],
)
def test_tensors_that_cannot_be_are_refused(bad: bytes) -> None:
    """Missing arguments, negative sizes, strides of another rank, no storage."""
    with pytest.raises(MalformedFile):
        read(archive(mapping(w=bad) + b".", {"0": 24}))


def test_absurd_sizes_are_refused_or_exact() -> None:
    """Beyond 64 bits or 64 axes is a limit; below, counts are exact however large."""
    with pytest.raises(LimitExceeded):
        read(archive(mapping(w=tensor("0", 6, (2**63, 2), (0, 0))) + b".", {"0": 24}))
    with pytest.raises(LimitExceeded):
        read(archive(mapping(w=tensor("0", 6, (1,) * 65, (0,) * 65)) + b".", {"0": 24}))
    found = read(archive(mapping(w=tensor("0", 6, (2**62, 2**62), (0, 0))) + b".", {"0": 24}))
    assert found is not None
    assert weights(found)["w"].count == 2**124


def test_weights_layers_and_opcodes_are_bounded() -> None:
    """Exactly at a limit a file is read, one above it is refused by the limit's name."""
    pickle = mapping(**{f"l{index}.w": tensor("0", 6, (2, 3), (3, 1)) for index in range(4)}) + b"."
    data = archive(pickle, {"0": 24})
    assert read(data, weights=4, layers=4) is not None
    for limit in ("weights", "layers"):
        with pytest.raises(LimitExceeded) as error:
            read(data, **{limit: 3})
        assert error.value.info.extra["limit"] == limit


def test_a_module_that_contains_itself_ends() -> None:
    """A cycle in `_modules` is one shared layer, not an endless tree."""
    state = mapping(_modules=b"}" + text("me") + b"h\x00s", _parameters=b"}")
    found = read(archive(b"cmine\nNet\n)\x81q\x00" + state + b"b."))
    assert found is not None
    assert [(layer.path, layer.shared_with) for layer in found.layers] == [("me", ".")]


def test_shared_parts_do_not_multiply() -> None:
    """A configuration that refers to itself twice on each of 60 levels is described once, shortened."""
    doubling = b"]" + b"".join(
        b"q" + bytes([level]) + b"0](h" + bytes([level]) + b"h" + bytes([level]) + b"e" for level in range(60)
    )
    found = read(archive(mapping(config=doubling, model=mapping(w=tensor("0", 6, (2, 3), (3, 1)))) + b".", {"0": 24}))
    assert found is not None
    assert len(str(found.info.tags)) < 10_000


def test_trailing_pickles_in_an_archive_are_looked_at() -> None:
    """Behind STOP nothing is loaded, but it is reported (P6)."""
    data = archive(mapping(w=tensor("0", 6, (2, 3), (3, 1))) + b"." + call("os", "system", b"N") + b".", {"0": 24})
    assert codes(read(data)) == {"pickle_trailing", "pickle_global"}


def test_other_content_is_nobodys() -> None:
    """Text, empty files, pictures, archives of other things are accepted by no torch reader."""
    for data in (
        b"",
        b"hello world, this is text\n" * 40,
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\x80",
        b"(",
        b"{}",
        b'{"a": 1}',
        b"<html></html>",
        b"import os\n",
        bytes(5000),
        b"." * 50,
        b"2023,1,2\n3,4,5\n",
    ):
        assert read(data) is None


def test_numbers_in_names_are_text() -> None:
    """Keys that are no strings become names, not errors."""
    pickle = b"}(" + number(7) + tensor("0", 6, (2, 3), (3, 1)) + b"u."
    found = read(archive(pickle, {"0": 24}))
    assert found is not None
    assert list(weights(found)) == ["7"]
