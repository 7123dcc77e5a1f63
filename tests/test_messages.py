"""Every sentence exists in every language; nothing in a catalogue is left over or lost a place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from service.language import msg, msgn
from service.translation import DEFAULT, LANGUAGES, catalogue_path, speaker

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = {"msg": None, "msgn": (1, 2), "mark": None, "t": None}
PLACE = re.compile(r"\{[a-z_][a-z0-9_]*\}")
TRANSLATED = [language for language in LANGUAGES if language != DEFAULT]


@pytest.fixture(scope="module")
def sentences() -> dict[str, str | None]:
    """Every template in the code, with its plural if it has one."""
    with (ROOT / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file, filename="babel.cfg")
    found = extract_from_dir(str(ROOT), method_map=methods, options_map=options, keywords=KEYWORDS)
    return {
        ids[0] if isinstance(ids, tuple) else ids: ids[1] if isinstance(ids, tuple) else None
        for _, _, ids, _, _ in found
    }


def catalogue(language: str) -> Catalog:
    with catalogue_path(language).open("rb") as file:
        return read_po(file, locale=language.replace("-", "_"), abort_invalid=True)


def entries(language: str) -> Iterator[tuple[str, list[str], Message]]:
    """Id, translations and entry of every message in a catalogue."""
    for message in catalogue(language):
        if message.id:
            single = message.id[0] if isinstance(message.id, (tuple, list)) else message.id
            text = list(message.string) if isinstance(message.string, (tuple, list)) else [message.string]
            yield single, text, message


def test_the_code_has_sentences(sentences) -> None:
    """The extraction finds what is known to be there: it looks at the right files, for the right calls."""
    assert len(sentences) > 300
    assert {"Layers", "{value} (partial)"} <= sentences.keys()
    assert any(sentences.values())


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_is_translated(language: str, sentences) -> None:
    """No message without a translation, none guessed (fuzzy), none left from an older version; `make messages`."""
    found = {single: text for single, text, message in entries(language) if not message.fuzzy and all(text)}
    assert sorted(sentences.keys() - found.keys()) == []
    assert sorted(found.keys() - sentences.keys()) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_their_places(language: str) -> None:
    """A translation names the same places as its template, each as often."""
    for single, texts, message in entries(language):
        ids = message.id if isinstance(message.id, (tuple, list)) else (single,)
        wanted = {tuple(sorted(set(PLACE.findall(one)))) for one in ids}
        for text in texts:
            assert tuple(sorted(set(PLACE.findall(text)))) in wanted, (language, single, text)


@pytest.mark.parametrize("language", TRANSLATED)
def test_sentences_are_really_said_in_the_language(language: str) -> None:
    """Almost all translations hold Chinese characters: an English text copied over would be noticed."""
    chinese = re.compile(r"[\u4e00-\u9fff]")
    copied = [single for single, texts, _ in entries(language) if not all(chinese.search(text) for text in texts)]
    assert [single for single in copied if len(single.split()) > 2] == []


def test_traditional_and_simplified_differ_in_script() -> None:
    """No character that only the other script uses stands in either catalogue."""
    simplified = set("层权张参数这个为从没过还进发样图构训练经状态统计类认线输值维转换归")
    traditional = set("層權張參數這個為從沒過還進發樣圖構訓練經狀態統計類認線輸值維轉換歸")
    for language, foreign in (("zh-Hans", traditional - simplified), ("zh-Hant", simplified - traditional)):
        for single, texts, _ in entries(language):
            assert not foreign & set("".join(texts)), (language, single, foreign & set("".join(texts)))


def test_a_sentence_is_said_in_three_languages() -> None:
    """Lists and numbers are joined as each language does; an unknown template is said in English."""
    unknown = msg("no such {thing}: {list}", thing=1234, list=("a", "b", "c"))
    assert speaker("en")(unknown) == "no such 1,234: a, b and c"
    assert speaker("zh-Hans")(unknown) == "no such 1,234: a、b和c"
    layers = msg("Layers")
    assert len({speaker(language)(layers) for language in LANGUAGES}) == 3
    assert speaker("en")(msgn("{n} thing", "{n} things", 2)) == "2 things"
    with pytest.raises(KeyError):
        speaker("de")
