"""Web pages of other sites."""

from __future__ import annotations

import pytest

from service.access.origins import is_known, is_own, parse_origins


def test_only_listed_origins_may_read():
    """Letter by letter, but for their case: no part of a name, no other port or scheme, not null."""
    origins = parse_origins("https://app.example, http://Localhost:3000")
    assert origins.any
    assert origins.permit("https://app.example")
    assert origins.permit("http://localhost:3000")
    for other in (
        "https://app.example.evil", "http://app.example", "https://app.example:444", "https://xapp.example", "null", "",
        "https://app.example/", "http://localhost",
    ):  # fmt: skip
        assert not origins.permit(other)


def test_everybody_is_everybody_but_null():
    """Any page can be `null` by sandboxing itself."""
    origins = parse_origins("*")
    assert origins.permit("https://any.example")
    assert not origins.permit("null")


def test_nobody_is_the_default():
    """An empty setting allows nothing."""
    origins = parse_origins("")
    assert not origins.any
    assert not origins.permit("https://app.example")


@pytest.mark.parametrize("text", ["app.example", "https://app.example/path", "https://a b", "null", "https://u@h"])
def test_what_is_no_origin_is_named(text):
    """So that a typing error does not lock a page out in silence."""
    with pytest.raises(ValueError, match="is not an origin"):
        parse_origins(text)


def test_a_page_of_our_own_is_known_by_its_host():
    """With the port."""
    assert is_own("http://127.0.0.1:8000", "127.0.0.1:8000")
    assert is_own("https://Models.example", "models.example")
    assert not is_own("http://127.0.0.1:3000", "127.0.0.1:8000")
    assert not is_own("null", "127.0.0.1:8000")
    assert not is_own("http://", "")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "localhost", "localhost:8000", "LOCALHOST", "[::1]:8000", "10.0.0.5", "weighbridge:8000", "x",
     "", "app.localhost:8000", "models.example:443", "localhost."],
)  # fmt: skip
def test_hosts_that_nobody_else_can_have_are_known(host):
    """Addresses, names without a dot, names below localhost, and those that are set."""
    assert is_known(host, ("models.example",))


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "a.b", "x y", "127.0.0.1:8000:1", "\u0131.x"],
)
def test_names_that_a_stranger_s_server_answers_for_are_not(host):
    """DNS rebinding: a page's own name may resolve to 127.0.0.1."""
    assert not is_known(host, ("models.example",))
