"""Which language an answer is in."""

from __future__ import annotations

import pytest

from service import translation
from service.language import msg
from service.web import languages

PO = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=1; plural=0;\\n"

msgid "There is no such analysis."
msgstr "{word}"
"""
WORDS = {"zh-Hans": "没有这个分析。", "zh-Hant": "沒有這個分析。"}


@pytest.fixture
def catalogues(tmp_path, monkeypatch):
    """Two small catalogues instead of those that are shipped."""
    monkeypatch.setattr(translation, "CATALOGUES", tmp_path)
    for language, word in WORDS.items():
        path = translation.catalogue_path(language)
        path.parent.mkdir(parents=True)
        path.write_text(PO.format(word=word), encoding="utf-8")
    for cached in (translation.speaker, translation.encoder):
        cached.cache_clear()
    yield
    for cached in (translation.speaker, translation.encoder):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("fr", "en"),
        ("fr, de;q=0.9", "en"),
        ("en-GB", "en"),
        ("zh", "zh-Hans"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("zh-SG", "zh-Hans"),
        ("zh-Hans-TW", "zh-Hans"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-MO", "zh-Hant"),
        ("zh-hant-cn", "zh-Hant"),
        ("ZH_tw", "zh-Hant"),
        ("cmn-Hant", "zh-Hant"),
        ("en;q=0.2, zh-TW;q=0.8", "zh-Hant"),
        ("fr, zh-Hant;q=0.1", "zh-Hant"),
        ("en;q=0.5, zh;q=0.5", "en"),
        ("zh;q=0, en", "en"),
        ("*", "en"),
        ("*, en;q=0", "zh-Hans"),
        ("en;q=0, zh-Hans;q=0, *;q=0.1", "zh-Hant"),
        ("*;q=0", "en"),
        ("zh-TW;q=nonsense, en;q=0.1", "en"),
        (";;;,,=,", "en"),
        ("zh-" * 500, "zh-Hans"),
    ],
)
def test_accept_language_chooses_as_bcp_47_and_its_weights_say(client, catalogues, accepted, language):
    """Regions tell the script; what is refused is not served; English where nothing fits."""
    response = client.get("/v1/analyses", headers={"Accept-Language": accepted})
    assert (response.status_code, response.headers["Content-Language"]) == (200, language)
    assert "Accept-Language" in response.headers["Vary"]


def test_a_named_language_wins(client, catalogues):
    """Whatever the browser says; in any letter case as BCP 47 has it."""
    for name in ("zh-Hant", "zh-hant"):
        response = client.get(f"/v1/analyses?lang={name}", headers={"Accept-Language": "zh-CN"})
        assert response.headers["Content-Language"] == "zh-Hant"


@pytest.mark.parametrize("name", ["fr", "zh", "", "zh-Hans,en", "../en"])
@pytest.mark.parametrize("path", ["/v1/analyses", "/v1/kinds", "/v1/comparisons/01a1fc66-bc3c-70cd-976b-f03c599b3780"])
def test_a_language_that_there_is_not_is_refused(client, path, name):
    """400 that names those there are."""
    response = client.get(path, query_string={"lang": name})
    assert (response.status_code, response.get_json()["pointer"]) == (400, "lang")
    assert all(language in response.get_json()["detail"] for language in translation.LANGUAGES)


@pytest.mark.parametrize("language", translation.LANGUAGES)
def test_problems_are_said_in_the_language(client, catalogues, language):
    """Their detail is a sentence like any other."""
    response = client.get(f"/v1/analyses/01a1fc66-bc3c-70cd-976b-f03c599b3780?lang={language}")
    assert (response.status_code, response.headers["Content-Language"]) == (404, language)
    assert response.get_json()["detail"] == WORDS.get(language, "There is no such analysis.")


def test_what_speaks_no_language_says_none(client):
    """Health and assets have no sentences to translate."""
    for path in ("/healthz", "/openapi.json", "/docs"):
        assert "Content-Language" not in client.get(path).headers


def test_nothing_else_is_taken_for_a_language():
    """A tag that is none is served by nobody."""
    for tag in ("", "-", "*", "x", "english", "zhx", "e n"):
        assert languages.understood(tag) is None
    assert languages.best([]) == "en"
    assert str(msg("x")) == "x"
