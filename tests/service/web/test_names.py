"""Names of files are data: normalised, checked, never paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import RequestError
from service.web.names import MAX_DEPTH, MAX_NAME, clean


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("model.keras", "model.keras"),
        ("variables/variables.index", "variables/variables.index"),
        ("variables\\variables.index", "variables/variables.index"),
        ("./a//b/./c", "a/b/c"),
        ("/home/me/model.pt", "home/me/model.pt"),
        ("C:\\Users\\me\\model.pt", "Users/me/model.pt"),
        ("模型 ünï.keras", "模型 ünï.keras"),
        ("</script>", "<\x2fscript>".replace("/", "/")),
        ("json.py", "json.py"),
        ("", "upload"),
        (None, "upload"),
        ("///", "upload"),
    ],
)
def test_names_are_normalised(sent, kept):
    """Relative, forward slashes, nothing that does nothing."""
    assert clean(sent) == kept


@pytest.mark.parametrize(
    "sent",
    [
        "..",
        "../x",
        "a/../../b",
        "a\\..\\b",
        "a\x00b",
        "a\r\nX: y",
        "\x1b[31m",
        "\ud800",
        "x" * (MAX_NAME + 1),
        "a/" * (MAX_DEPTH + 1),
    ],
)
def test_names_that_could_mean_something_else_are_refused(sent):
    """Traversal, control characters, lone surrogates, too long, too deep: a request error that names the field."""
    with pytest.raises(RequestError) as caught:
        clean(sent, "file[3].filename")
    assert caught.value.info.pointer == "file[3].filename"


@given(st.text())
def test_whatever_is_accepted_is_a_plain_relative_name(sent):
    """No empty step, no dots, no leading slash; and cleaning again changes nothing."""
    try:
        kept = clean(sent)
    except RequestError:
        return
    assert all(step not in ("", ".", "..") for step in kept.split("/"))
    assert kept.encode()
