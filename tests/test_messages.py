"""Every sentence exists in every language; nothing in a catalogue is left over or lost a place."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po, write_po

from service.language import msg, msgn
from service.translation import DEFAULT, LANGUAGES, catalogue_path, speaker

ROOT = Path(__file__).resolve().parent.parent
KEYWORDS = {"msg": None, "msgn": (1, 2), "mark": None, "t": None}
PLACE = re.compile(r"\{[a-z_][a-z0-9_]*\}")
CHINESE = "[\u4e00-\u9fff]"
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
    copied = [single for single, texts, _ in entries(language) if not all(re.search(CHINESE, text) for text in texts)]
    names = re.compile(r"\{[a-z_0-9]+\}|\([^)]*\)")
    assert [single for single in copied if len(names.sub("", single).split()) > 2] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_keep_code_and_numbers(language: str) -> None:
    """What stands in backticks, what is typed (`name=value`, `?name=`, addresses) and every number of some length."""
    kept = re.compile(
        r"`[^`]+`"
        r"|\??[\w.]+=(?:['{}\w]|[.,-](?=\w))*"
        r"|/v1/\w+|arXiv:\S+"
        r"|(?<![\w^-])\d[\d.,]*\d(?![\w-])"
    )
    for single, texts, message in entries(language):
        many = message.id[1] if isinstance(message.id, (tuple, list)) else single
        for code in kept.findall(many):
            assert all(code in text for text in texts), (language, single, code)


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_are_set_as_chinese_is(language: str) -> None:
    """Punctuation beside Chinese is full-width, Latin words and numbers stand apart from it, spaces are single."""
    wrong = {
        "half-width punctuation": rf"{CHINESE}[,;:!?]|{CHINESE}\.(?!\w)|[,;:]{CHINESE}",
        "half-width brackets": rf"{CHINESE}\(|\){CHINESE}",
        "a space beside full-width punctuation": r" [，。；：（）、“”「」]|[，。；：（）、“”「」] ",
        "a space between two Chinese words": rf"{CHINESE} {CHINESE}",
        "no space beside Latin text": rf"{CHINESE}[A-Za-z0-9]|[A-Za-z0-9]{CHINESE}",
        "two spaces": r"\S  ",
        "a space at the end": r" $",
    }
    for single, texts, _ in entries(language):
        for text in texts:
            for what, pattern in wrong.items():
                assert not re.search(pattern, text), (language, what, single, text)


FOREIGN_WORDS = {
    "zh-Hans": "字節碼 網絡 線程 緩存 默認 內存",
    "zh-Hant": "激活 默認 內存 字節 矩陣列 字符 文件夾 加載 調用 全連線 繫結 例項 程序 對映 擴充套件 回撥 儲存儲 "
    "索參數 宣告瞭 信息 數據 循環中 區域性 方差 卷上 透過內容",
}  # fmt: skip
"""Words of the other script's region, and what an automatic conversion makes of some."""


@pytest.mark.parametrize("language", TRANSLATED)
def test_words_are_those_of_the_region(language: str) -> None:
    """A term of Taiwan in traditional characters, one of the mainland in simplified."""
    for single, texts, _ in entries(language):
        for word in FOREIGN_WORDS[language].split():
            assert word not in "".join(texts), (language, single, word)


def test_terms_are_the_same_everywhere() -> None:
    """One word per concept: where the English term stands, its translation does."""
    for english, simplified, traditional in TERMS:
        for language, term in (("zh-Hans", simplified), ("zh-Hant", traditional)):
            for single, texts, _ in entries(language):
                if re.search(rf"\b{english}\b", CODE.sub("", single)):
                    assert term in "".join(texts), (language, english, single, texts)


CODE = re.compile(r"\{[^}]*\}|\[[^]]*\]|`[^`]*`|\S+=\S*|\b\w+_\w+|\b\w+\.\w\S*|\w*[A-Z]\w*[a-z]\w*[A-Z]\w*")

TERMS = (
    ("gradients?", "梯度", "梯度"),
    ("batch size", "批大小", "批次大小"),
    ("tied", "绑定", "綁定"),
    ("moving mean", "移动均值", "移動平均"),
    ("receptive field", "感受野", "感受野"),
    ("vocabular(y|ies)", "词表", "詞彙表"),
    ("frozen", "冻结", "凍結"),
    ("optimizers?", "优化器", "優化器"),
    ("tensors?", "张量", "張量"),
    ("layers?", "层", "層"),
    ("dilation", "膨胀", "膨脹"),
    ("low-rank", "低秩", "低秩"),
    ("buffers", "buffer", "buffer"),
    ("quantis\\w+", "量化", "量化"),
    ("embeddings?", "嵌入", "嵌入"),
    ("worker", "工作进程", "工作行程"),
)
"""English, simplified, traditional."""


def test_traditional_and_simplified_differ_in_script() -> None:
    """No character that only the other script uses stands in either catalogue."""
    simplified = set("层权张参数这个为从没过还进发样图构训练经状态统计类认线输值维转换归")
    traditional = set("層權張參數這個為從沒過還進發樣圖構訓練經狀態統計類認線輸值維轉換歸")
    for language, foreign in (("zh-Hans", traditional - simplified), ("zh-Hant", simplified - traditional)):
        for single, texts, _ in entries(language):
            assert not foreign & set("".join(texts)), (language, single, foreign & set("".join(texts)))


@pytest.mark.parametrize("language", TRANSLATED)
def test_catalogues_are_written_as_babel_writes_them(language: str) -> None:
    """Read and written again, a catalogue is the same but for its header: `make messages` changes what it must."""
    path = catalogue_path(language)
    again = io.BytesIO()
    with path.open("rb") as file:
        write_po(again, read_po(file, locale=language.replace("-", "_")), width=0)
    assert again.getvalue().partition(b"\n\n")[2] == path.read_bytes().partition(b"\n\n")[2]


def test_a_sentence_is_said_in_three_languages() -> None:
    """Lists and numbers are joined as each language does; an unknown template is said in English."""
    unknown = msg("no such {thing}: {list}", thing=1234, list=("a", "b", "c"))
    assert speaker("en")(unknown) == "no such 1,234: a, b and c"
    assert speaker("zh-Hans")(unknown) == "no such 1,234: a、b 和 c"
    layers = msg("Layers")
    assert len({speaker(language)(layers) for language in LANGUAGES}) == 3
    assert speaker("en")(msgn("{n} thing", "{n} things", 2)) == "2 things"
    with pytest.raises(KeyError):
        speaker("de")
