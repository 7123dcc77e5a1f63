"""Attacks by chat templates that hide what they reach for: row G2 of the threat catalogue, in a file and in GGUF."""

from __future__ import annotations

from tests.attacks.containers import LLAMA, WRITER
from tests.attacks.frame import Attacks, Outcome, Trap, harmless, named
from tests.attacks.hugging_face import folder
from tests.service.parsers.ggufs import Tensor

ATTACKS = Attacks()
NAMED = named("chat_template", "critical", "chat_template.jinja")
SANDBOX = "https://jinja.palletsprojects.com/en/stable/sandbox"


def template(number: int, name: str, idea: str, program: str, expects: Outcome = NAMED, source: str = SANDBOX) -> None:
    """A template in a file of its own."""
    ATTACKS.add(f"G2-{number}", name, idea, source, lambda _trap: folder(chat_template__jinja=program), expects)


template(
    30, "an_end_within_a_text", "What looks as the block's end stands in quotation marks.", "{{ '}}' ~ x.__class__ }}"
)
template(
    31,
    "an_end_within_brackets",
    "Two dictionaries end there, and not the block.",
    "{{ {'a': {'b': {}}} ~ x.__class__ }}",
)
template(32, "an_end_in_a_statement", "The same in a statement.", "{% set x = ['%}', y.__class__] %}")
template(33, "a_quote_in_a_comment", "Quotation marks in comments pair with none.", "{# ' #}{{ cycler.next }}{# ' #}")
template(34, "a_quote_in_raw_text", "Nor do those in raw text.", "{% raw %}{{ ' {% endraw %}{{ cycler.next }}{{ ' ' }}")
template(35, "attr_by_map", "The filter is named in a text.", "{{ ['']|map('attr', name)|list }}")
template(
    36, "attribute_that_is_computed", "The attribute's name is a variable.", "{{ messages|map(attribute=name)|list }}"
)
template(
    37,
    "selection_that_is_computed",
    "Filters that take an attribute by its name.",
    "{{ messages|selectattr(name)|list }}",
)
template(38, "grouping_that_is_computed", "Another of them.", "{{ messages|groupby(name)|list }}")
template(
    39,
    "pieces_around_a_variable",
    "Nothing stands between the pieces.",
    "{% set a = '' %}{{ x['__cl' ~ a ~ 'ass__'] }}",
)
template(40, "a_name_backwards", "A filter turns it round.", "{{ x['__ssalc__'|reverse] }}")
template(41, "a_name_in_capitals", "A filter makes it small.", "{{ x['__CLASS__'|lower] }}")
template(42, "underscores_multiplied", "Two of one.", "{% set u = '_' * 2 %}{{ x[u ~ 'class' ~ u] }}")
template(43, "underscores_joined", "One by one.", "{{ x[['_', '_', 'class', '_', '_']|join] }}")
template(
    44, "one_character_by_its_number", "By the number of a character.", "{% set u = '%c'|format(95) %}{{ x[u ~ u] }}"
)
template(45, "a_class_without_underscores", "Its ancestors are a method of every class.", "{{ dict.mro() }}")
template(
    46,
    "frames_of_a_generator",
    "A generator's frame has the globals.",
    "{{ messages|map('upper').gi_frame.f_globals }}",
)
template(
    47,
    "format_without_a_call",
    "A text's own formatting, handed to a filter.",
    "{{ ['{0.x}']|map(''.format) }}",
    source="CVE-2024-56326",
)
template(
    48,
    "format_of_a_mapping",
    "The form of it that the sandbox once passed over.",
    "{{ '{a.b}'.format_map(x) }}",
    source="CVE-2019-10906",
)
template(49, "a_special_method", "Any name that Python keeps for itself.", "{{ x.__str__() }}")
template(50, "a_name_that_only_an_attack_has", "Taken by a key.", "{{ x[u ~ u ~ 'subclasses' ~ u ~ u]() }}")
template(
    51,
    "an_honest_template_with_braces",
    "Dictionaries, raw text, comments, format, and names with underscores: not an attack.",
    "{#- don't -#}{%- set tool = {'a': {'b': '}}'}} -%}{{ '__start__' ~ '%s_%s'.format(1) }}{% raw %}{{ x.__class__ }}"
    "{% endraw %}{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join('_') }}",
    harmless(),
)


@ATTACKS("G2-60", source=SANDBOX, expects=named("gguf_chat_template", "critical", "tokenizer.chat_template"))
def an_end_within_brackets_in_gguf(trap: Trap) -> bytes:
    """As above, in a file of llama.cpp."""
    program = "{{ {'a': {'b': {}}} ~ x.__class__ }}"
    return WRITER.file([*LLAMA, ("tokenizer.chat_template", "string", program)], [Tensor("t")], 128)
