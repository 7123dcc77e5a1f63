"""Plain pickles: what is one, whose it is, and what a long harmless beginning cannot hide."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import pytest

from service.errors import InputError
from service.readers import torch_pickle
from service.registry import identify, load_readers
from service.tree import Model
from tests.corpus import corpus_dir
from tests.service.readers.hf_uploads import upload

TABLE = {f"word{number}": -float(number) for number in range(20_000)}
"""Longer than what is looked at to tell a format: what a tagger's table of probabilities is like."""


class Caller:
    """Unpickling it would run a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("1",)


def taker(data: bytes) -> str:
    """The id of the reader that takes it, or why none does."""
    try:
        return identify(upload({"x": data}), load_readers()).FORMAT.id
    except InputError as error:
        return error.info.code


def read(data: bytes) -> Model:
    """What the reader makes of it."""
    return torch_pickle.read(upload({"x": data}))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", [TABLE, list(TABLE), {}, [], {"a": [{}]}], ids=["table", "words", "{}", "[]", "a"])
def test_plain_data_is_a_pickle_in_every_protocol(value: object, protocol: int) -> None:
    """However long it is, and where the protocol leaves no mark at the beginning, too."""
    data = pickle.dumps(value, protocol)
    assert taker(data) == "torch_pickle"
    found = read(data)
    assert (found.layers, found.states, found.security, found.complete) == ((), (), (), True)
    assert [str(note) for note in found.notes] == [
        "The file holds no nn.Module and no state_dict: there are no layers to list."
    ]


@pytest.mark.parametrize("protocol", range(6))
def test_a_long_table_hides_nothing(protocol: int) -> None:
    """A call behind twenty thousand entries is told."""
    data = pickle.dumps({**TABLE, "last": Caller()}, protocol)
    assert taker(data) == "torch_pickle"
    assert [(one.severity, one.detail) for one in read(data).security] == [
        ("critical", "builtins.eval")
    ]


@pytest.mark.parametrize("data", [b"(draft)\n", b"(dp)\n", b"(lp\n", b"(dpx0\n", b"]q", b"}quit\n", b"[1, 2]\n", b"(d"])
def test_texts_are_no_pickles(data: bytes) -> None:
    """What begins almost so."""
    assert taker(data) == "unknown_format"


def test_whose_it_is() -> None:
    """PyTorch's where something of PyTorch is named; of others nobody knows who wrote them."""
    state = (corpus_dir("torch_files") / "plain_state.pkl").read_bytes()
    assert read(state).info.framework == "torch"
    assert {read(pickle.dumps(one)).info.framework for one in (TABLE, OrderedDict(a=1))} == {"unknown"}


@pytest.mark.parametrize(("protocol", "end", "sentence", "offset"), [
    (0, -5, "The pickle ends within a line.", -11),
    (2, -7, "The pickle needs 8 more bytes here, but only 5 follow.", -12),
    (4, -400, "The pickle needs 9 more bytes here, but only 1 follow.", -401),
])  # fmt: skip
def test_a_pickle_that_ends_too_early_is_refused(protocol: int, end: int, sentence: str, offset: int) -> None:
    """With the place where the next opcode, or the rest of one, should be."""
    data = pickle.dumps(TABLE, protocol)
    with pytest.raises(InputError) as caught:
        read(data[:end])
    told = caught.value.info
    assert (told.code, str(told.detail), told.offset) == ("truncated_file", sentence, len(data) + offset)
