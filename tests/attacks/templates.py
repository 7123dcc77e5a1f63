"""Attacks by chat templates that hide what they reach for: row G2 of the threat catalogue, in a file and in GGUF."""

from __future__ import annotations

from tests.attacks.containers import LLAMA, WRITER
from tests.attacks.frame import Attacks, Outcome, Trap, harmless, named
from tests.attacks.hugging_face import folder
from tests.service.catalog.known_templates import KNOWN
from tests.service.catalog.known_templates_more import MORE
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


COMPUTED = (
    ("escapes_of_eight_digits", "Jinja reads them, too.", "critical",
     r'{{ x["\U0000005f\U0000005fclass\U0000005f\U0000005f"] }}'),
    ("escapes_by_name", "Characters by their names.", "critical", r'{{ x["\N{LOW LINE}\N{LOW LINE}class"] }}'),
    ("pieces_in_variables", "No two pieces of the name stand together.", "critical",
     "{% set u='_' %}{% set a='cla' %}{% set b='ss' %}{{ x[u~u~a~b~u~u] }}"),
    ("characters_replaced", "A filter makes the underscores.", "critical", "{{ x['@@class@@'|replace('@', '_')] }}"),
    ("characters_replaced_by_a_method", "A method does.", "critical", "{{ x['@@class@@'.replace('@', '_')] }}"),
    ("every_second_character", "A slice takes the others away.", "critical", "{{ x['_x_xcxlxaxsxsx_x_'[::2]] }}"),
    ("keys_of_a_dictionary", "The names of arguments are texts.", "critical", "{{ x[dict(__cla=1, ss__=1)|join] }}"),
    ("pieces_of_a_split_text", "It is taken apart and put together.", "critical",
     "{% set d='__cla,ss__'.split(',') %}{{ x[d[0]~d[1]] }}"),
    ("attributes_of_a_namespace", "They are set elsewhere.", "critical",
     "{% set ns=namespace(a='_') %}{{ x[ns.a~ns.a~'class'~ns.a~ns.a] }}"),
    ("a_block_that_is_set", "What a block writes is a text.", "critical", "{% set c %}__class__{% endset %}{{ x[c] }}"),
    ("a_loop_over_a_literal", "The key is the loop's variable.", "critical",
     "{% for c in ['__class__'] %}{{ x[c] }}{% endfor %}"),
    ("a_list_that_is_filled", "The key is put into a list.", "critical",
     "{% set l=[] %}{% set _=l.append('@@class@@'.replace('@', '_')) %}{{ x[l[0]] }}"),
    ("an_argument_of_a_macro", "The key is given to a macro, by another of its names.", "critical",
     "{% macro m(k) %}{{ x[k] }}{% endmacro %}{% set n=m %}{{ n('@@class@@'.replace('@', '_')) }}"),
    ("what_a_macro_writes", "A macro makes the key.", "high",
     "{% macro f(x) %}_{{ x }}_{% endmacro %}{{ x[f(f('class'))] }}"),
    ("a_special_token", "The author of the template is that of the tokens.", "high",
     "{{ messages[0][bos_token][eos_token] }}"),
    ("a_token_of_any_name", "Tokens may be called anything.", "high",
     "{{ messages|unique(false, image_token|trim)|list }}"),
    ("text_that_is_filled_in", "By the percent sign.", "high", "{{ x['%s%sclass%s%s' % (('_',)*4)] }}"),
    ("text_that_is_formatted", "By its own method.", "high", "{{ x['{0}{0}class{0}{0}'.format('_')] }}"),
    ("text_that_is_centred", "Filled up with underscores.", "high", "{{ x['class'.center(9, '_')] }}"),
    ("pieces_that_are_joined", "Empty ones leave what stands between them.", "high",
     "{{ x['_'.join(['', '', 'class', '', ''])] }}"),
    ("how_a_function_is_shown", "Its own name has underscores.", "high",
     "{% set u=(raise_exception|string)[13] %}{{ x[u*2~'class'~u*2] }}"),
    ("a_number_as_bytes", "Bytes are characters.", "high", "{{ x[(95).to_bytes(1, 'big').decode() * 2] }}"),
    ("another_helper_by_a_variable", "A function under another name.", "critical",
     "{% set l=[raise_exception] %}{{ l[0][messages[0].role] }}"),
    ("an_attribute_to_sort_by", "In the third place.", "high", "{{ messages|sort(false, false, eos_token) }}"),
    ("behind_a_megabyte_of_braces", "No parser comes to the end in time.", "high",
     "{{ a }}" * 100_000 + "{{ x[bos_token] }}"),
)  # fmt: skip
"""Names that are computed and nowhere written: name, idea, how bad, program."""
for place, (name, idea, severity, program) in enumerate(COMPUTED):
    expected = named("chat_template", severity, "chat_template.jinja")
    template(101 + place, name, idea, program, expected, source="CVE-2024-34359")

for place, (family, program) in enumerate({**KNOWN, **MORE}.items()):
    name = "".join(character if character.isalnum() else "_" for character in family)
    template(
        101 + len(COMPUTED) + place, f"as_of_{name}", "It computes, but no name of an attribute.", program, harmless()
    )


@ATTACKS("G2-60", source=SANDBOX, expects=named("gguf_chat_template", "critical", "tokenizer.chat_template"))
def an_end_within_brackets_in_gguf(trap: Trap) -> bytes:
    """As above, in a file of llama.cpp."""
    program = "{{ {'a': {'b': {}}} ~ x.__class__ }}"
    return WRITER.file([*LLAMA, ("tokenizer.chat_template", "string", program)], [Tensor("t")], 128)


@ATTACKS("G2-61", source=SANDBOX, expects=named("gguf_chat_template", "high", "tokenizer.chat_template"))
def a_template_longer_than_is_kept(trap: Trap) -> bytes:
    """Behind 300 KB of text: longer than what is kept of a file's strings, and looked at by whoever renders it."""
    program = "x" * 300_000 + "{{ ''.__class__ }}"
    return WRITER.file([*LLAMA, ("tokenizer.chat_template", "string", program)], [Tensor("t")], 128)


for number, (name, program) in enumerate(
    (("escaped_quotes", "{{ '" + "\\'" * 450_000), ("spaces_after_a_quote", "{{ '" + " " * 900_000 + "x }}"))
):
    template(160 + number, f"a_megabyte_of_{name}", "Each is the start of a search to the end.", program, harmless())
template(162, "longer_than_is_looked_at", "What stands behind could be anything.",
         "x" * 5_000_000 + "{{ ''.__class__ }}", named("chat_template", "high", "chat_template.jinja"))  # fmt: skip
