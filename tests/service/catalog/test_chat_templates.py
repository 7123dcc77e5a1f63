"""Chat templates that break out are told from those that format conversations."""

from __future__ import annotations

import jinja2
import pytest

from service.catalog.chat_templates import MAX_TEMPLATE, template_danger
from service.catalog.template_parsing import MAX_TOKENS
from tests.service.catalog.known_templates import KNOWN
from tests.service.catalog.known_templates_more import MORE

ATTACKS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__cl' ~ 'ass__'] }}",
    "{{ ''['__cl' 'ass__'] }}",
    "{{ ''['__cl' + 'ass__'] }}",
    r"{{ ''['\x5f\x5fclass\x5f\x5f'] }}",
    r"{{ ''['\u005f\u005fclass\u005f\u005f'] }}",
    r"{{ ''['\137\137class\137\137'] }}",
    "{{ ''|attr('_' * 2) }}",
    "{{ messages | map(attribute='__class__') | list }}",
    "{{ messages | map(attribute='_' ~ '_class__') | list }}",
    "{{ cycler.next }}",
    "{{ joiner | string }}",
    "{% for x in self._TemplateReference__context %}{% endfor %}",
    "{{ x.popen('id').read() }}",
    "{% include '/etc/passwd' %}",
    "{%- import 'other' as other -%}",
    "{{ ''['%c%cclass%c%c' % (95, 95, 95, 95)] }}",
    "harmless words {{ ''.__class__",
    "{{ '}}' ~ x.__class__ }}",
    "{{ {'a': {'b': 1}} ~ x.__class__ }}",
    "{% if a == '%}' and x.__class__ %}",
    "{# ' #}{{ cycler.next }}{# ' #}",
    "{% raw %}{{ ' {% endraw %}{{ cycler.next }}{{ ' ' }}",
    "{{ ['']|map('attr', name) }}",
    "{{ x|map(attribute=name) }}",
    "{{ x|selectattr(name) }}",
    "{{ x['__cl' ~ a ~ 'ass__'] }}",
    "{{ x['__ssalc__'|reverse] }}",
    "{{ x['__' ~ a] }}",
    "{{ '_' * 2 }}",
    "{{ ['_', '_', 'x']|join }}",
    "{{ '%c'|format(95) }}",
    "{{ dict.mro() }}",
    "{{ x.gi_frame }}",
    "{{ x|map(''.format) }}",
    "{{ x.__str__() }}",
    "{{ x[u ~ 'subclasses' ~ u] }}",
]
CONVERSATIONS = [
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}{% endfor %}",
    "{%- set ns = namespace(first=true) %}{{ raise_exception('roles must alternate') }}{{ tools | tojson(indent=4) }}",
    "{% macro render(item) %}{{ item.content | trim }}{% endmacro %}{{ render(messages[0]) }}",
    "{{ tools | selectattr('type', 'equalto', 'function') | map(attribute='function') | list }}",
    "You may call open(path), eval(code) or os.system(command). {{ 'Use exec(code) too.' }}",
    "{{ '__start__' }}{{ 'the self.attribute' }}",
    "text about __class__ and __import__ outside of any block",
    "{# a comment about x.__class__, it's {{ x.__class__ }} #}{{ messages }}",
    "{% raw %}{{ x.__class__ }}{% endraw %}{{ messages }}",
    "{%- set t = {'a': {'b': '}}'}} -%}{{ t.a }} x.__class__ {{ '%s_%s'.format(1, 2) }}",
    "{{ messages|groupby('role') }}{{ x|map(attribute=0)|join('_') }}{{ name|replace('_', '-') }}",
    "",
    *KNOWN.values(),
    *MORE.values(),
]
REACHED = "the interpreter was reached"
"""A global of this module: who can render it has reached the globals of a function that was handed in."""
KEYS = [
    ("critical", r'"\U0000005f\U0000005fglobals\U0000005f\U0000005f"'),
    ("critical", r'"\N{LOW LINE}\N{LOW LINE}globals\N{LOW LINE}\N{LOW LINE}"'),
    ("critical", "u~u~'global'~s~u~u"),
    ("critical", "'@@globals@@'|replace('@','_')"),
    ("critical", "'@@globals@@'.replace('@','_')"),
    ("critical", "dict(__glob=1,als__=1)|join"),
    ("critical", "'_x_xgxlxoxbxaxlxsx_x_'[::2]"),
    ("critical", "'__SLABOLG__'[::-1].lower()"),
    ("high", "bos_token"),
    ("high", "image_token|trim"),
    ("high", "(bos_token|reverse)[::-1]"),
    ("high", "additional_special_tokens[0]"),
    ("high", "'{0}{0}globals{0}{0}'.format('_')"),
    ("high", "'%s%sglobals%s%s' % (('_',)*4)"),
    ("high", "('global'~s).center(11,'_')"),
    ("high", "('global'~s).rjust(9,'_').ljust(11,'_')"),
    ("high", "['','',('global'~s),'','']|join('_')"),
    ("high", "'_'.join(['','',('global'~s),'',''])"),
    ("critical", "ns.a~ns.a~('global'~s)~ns['a']~ns.a"),
    ("critical", "built.key"),
    ("critical", "block"),
    ("high", "wrapped(wrapped(('global'~s)))"),
    ("critical", "pieces[0]~pieces[1]"),
    ("critical", "{'a':'__glo','b':'bals__'}.a ~ {'b':'bals__'}['b']"),
    ("high", "(none|string).replace('None',u~u~'glo') ~ 'bals'~u~u"),
    ("high", "(95).to_bytes(1,'big').decode()*2 ~ ('global'~s) ~ '_' ~ u"),
    ("high", "'x'|int('@@globals@@'|replace('@','_')) ~ ''"),
    ("high", "messages[0:0]|join('x')|default(u~u, true) ~ 'global'~s~u~u"),
    ("critical", "'__globals__' if add_generation_prompt else 'content'"),
    ("critical", "filled[0]"),
    ("critical", "cycler('__glob'~'als__').next()"),
    ("critical", "(['__glob'~'als__']|batch(1)|first)[0]"),
    ("critical", "('__glob'~'als__',)|random"),
    ("high", "tools[0].name ~ tools[1].name"),
    ("high", "tools[0].name + tools[1].name"),
]
"""Ways to compute the key `__globals__`, and how bad each is: where it is known what it is, it is critical."""
BEFORE = (
    "{% set u='_' %}{% set s='s' %}{% set ns=namespace(a='_') %}{% set pieces='__glob,als__'.split(',') %}"
    "{% set block %}__globals__{% endset %}{% macro wrapped(x) %}_{{x}}_{% endmacro %}{% set built=namespace(key='') %}"
    "{% for c in '@@globals@@' %}{% set built.key = built.key ~ c|replace('@','_') %}{% endfor %}"
    "{% set filled=[] %}{% set _=filled.append(u~u~('global'~s)~u~u) %}"
)
PLACES = [
    "{{ messages[0][KEY]['REACHED'] }}",
    "{{ messages|map(attribute=KEY)|map(attribute='REACHED')|list }}",
    "{{ (messages|groupby(KEY))[0] }}",
    "{% for k in [KEY] %}{{ messages[0][k]['REACHED'] }}{% endfor %}",
    "{% macro show(k, of=messages[0]) %}{{ of[k]['REACHED'] }}{% endmacro %}{% set other=show %}{{ other(KEY) }}",
    "{% macro give() %}{{ caller(KEY) }}{% endmacro %}{% call(k) give() %}{{ messages[0][k]['REACHED'] }}{% endcall %}",
    "{% macro late() %}{{ messages[0][k]['REACHED'] }}{% endmacro %}{% set k=KEY %}{{ late() }}",
    "{% with k=KEY %}{{ messages[0][k]['REACHED'] }}{% endwith %}",
    "{% set k='a' %}{% if messages %}{% set k=KEY %}{% endif %}{{ messages[0][k]['REACHED'] }}",
    "{% set d={} %}{% set _=d.update({'k': KEY}) %}{{ messages[0][d.k]['REACHED'] }}",
    "{{ [messages[0]]|map('attr', KEY)|map(attribute='REACHED')|list }}",
    "{% for k in ['a'] recursive %}{{ loop([KEY]) if k == 'a' else messages[0][k]['REACHED'] }}{% endfor %}",
]
"""Where such a key is used."""
HELPERS = [
    "{% set f=raise_exception %}{{ f['x'] }}",
    "{% set f=[lipsum, 1] %}{{ f[0][messages[0].role] }}",
    "{% set ns=namespace(f=strftime_now) %}{{ ns.f.x }}",
    "{% macro m() %}{% endmacro %}{{ m.name }}",
    "{% for m in messages %}{{ loop.other }}{% endfor %}",
    "{% set c=cycler('a') %}{{ c.items }}",
]


@pytest.mark.parametrize("template", ATTACKS)
def test_a_template_that_breaks_out_is_named(template):
    """However the name is spelled; critical, with the place it was found in."""
    found = template_danger(template, "chat_template", member="tokenizer_config.json")
    assert found is not None
    assert (found.code, found.severity, found.member) == ("chat_template", "critical", "tokenizer_config.json")


@pytest.mark.parametrize("template", CONVERSATIONS)
def test_a_template_that_formats_is_not(template):
    """What stands in its text, or outside its blocks, is not run."""
    assert template_danger(template, "chat_template") is None


def rendered(template):
    """What an unsandboxed Jinja makes of it: the message is a function of this module, the tokens are the author's."""
    given = {
        "messages": [rendered], "add_generation_prompt": True, "tools": [{"name": "__glo"}, {"name": "bals__"}],
        "bos_token": "__globals__", "image_token": "__globals__ ", "additional_special_tokens": ["__globals__"],
        "raise_exception": rendered, "loop_start": 0,
    }  # fmt: skip
    return jinja2.Environment().from_string(template).render(given)  # noqa: S701 - for no browser


@pytest.mark.parametrize(("severity", "key"), KEYS)
def test_a_key_that_the_template_computes_is_named(severity, key):
    """It really reaches the interpreter where nothing is in the way; a constant is followed, all else is suspicious."""
    template = BEFORE + PLACES[0].replace("KEY", key)
    found = template_danger(template, "chat_template")
    assert REACHED in rendered(template)
    assert found is not None
    assert (found.code, found.severity) == ("chat_template", severity)


@pytest.mark.parametrize("place", PLACES)
def test_a_computed_key_is_named_wherever_it_is_used(place):
    """As a subscript or as the attribute of a filter, through names, loops, macros, containers."""
    template = place.replace("KEY", "'@@globals@@'.replace('@', bos_token[0])")
    assert REACHED in rendered(template)
    assert template_danger(template, "chat_template") is not None


@pytest.mark.parametrize("template", HELPERS)
def test_functions_have_nothing_that_a_template_needs(template):
    """Functions, macros, and of `loop` and cyclers all but what they are for; whatever they are called."""
    found = template_danger(template, "chat_template")
    assert found is not None
    assert found.severity == "critical"


def test_a_line_end_that_a_loader_leaves_out_hides_nothing():
    """Transformers renders with `trim_blocks`: what a block writes begins behind the line end."""
    template = "{% set k %}\nab__globals__{% endset %}{{ messages[0][k[2:]]['REACHED'] }}"
    assert REACHED in jinja2.Environment(trim_blocks=True).from_string(template).render(messages=[rendered])  # noqa: S701
    assert template_danger(template, "chat_template") is not None


def test_the_line_is_shown():
    """In which the worst is done, not the first of what is suspicious."""
    found = template_danger(
        "{{ messages }}\r\n{{ x[a ~ b] }}\n {{ x['@_class__'.replace('@', '_')] }}\n", "chat_template"
    )
    assert found is not None
    assert (found.severity, found.detail) == ("critical", "{{ x['@_class__'.replace('@', '_')] }}")


def test_keys_that_the_caller_gives_are_quiet():
    """Also through names, macros, namespaces; and numbers however they are computed."""
    template = (
        "{% macro m(spec, ns) %}{% for k in spec %}{{ spec[k] }}{{ ns.at[k] }}{% endfor %}{% endmacro %}"
        "{% set ns=namespace(at=tools, i=0) %}{{ m(tools[0].parameters, ns) }}{% set ns.i=ns.i * 2 - 1 %}"
        "{{ messages[ns.i + loop_start|int] }}{{ {'a': 1}[messages[0].role] }}"
    )
    assert template_danger(template, "chat_template") is None


@pytest.mark.parametrize("template", [
    "{{ x }}" * MAX_TOKENS, "{{ " + "(" * 5000 + ")" * 5000 + " }}", "{{ x" + " ~ x" * MAX_TOKENS + " }}",
    "{% for a in b %}" * 2000,
    "{% set n=namespace(a=[]) %}" + "{% set n.a=[n.a, n.b] %}{% set n.b=[n.a, [n.b, 'x']] %}" * 2000,
])  # fmt: skip
def test_what_is_too_long_to_be_followed_is_suspicious(template):
    """Nothing that formats a conversation is as long or as deep; a program that hides in it is not looked for."""
    found = template_danger(template[:MAX_TEMPLATE], "chat_template")
    assert found is not None
    assert found.severity == "high"


def test_what_jinja_cannot_parse_is_read_as_text():
    """It cannot be run; nor can numbers without end, or marks of no character."""
    for template in (
        "{{ x[a ~ b]",
        "{% nothing %}",
        "{{ " + "1" * 9000 + " }}",
        r"{{ '\N{NO SUCH}' }}",
        "{{ \ud800 }}",
    ):
        assert template_danger(template, "chat_template") is None


def test_a_template_that_goes_on_beyond_what_is_looked_at_is_suspicious():
    """Its end could be anything."""
    found = template_danger("x" * (MAX_TEMPLATE + 1), "chat_template", path="p")
    assert (found.severity, found.path) == ("high", "p")
    assert template_danger("x" * MAX_TEMPLATE, "chat_template") is None


def test_a_megabyte_of_template_is_looked_at_in_linear_time():
    """Openings without ends, and quotation marks without ends."""
    pieces = [
        "{{ '", "'~", "\\'", '\\"', "' ", "{% \\x5f ", "__",
        "%c", "{{ (", "{#", "{% raw %}", "{{ '_'*", "{{ }", "{{ attribute= ",
    ]  # fmt: skip
    for piece in pieces:
        template_danger(piece * (1_000_000 // len(piece)), "chat_template")
