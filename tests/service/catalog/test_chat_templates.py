"""Chat templates that break out are told from those that format conversations."""

from __future__ import annotations

import pytest

from service.catalog.chat_templates import template_danger

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


def test_a_megabyte_of_template_is_looked_at_in_linear_time():
    """Openings without ends, and quotation marks without ends."""
    pieces = ["{{ '", "'~", "{% \\x5f ", "__", "%c", "{{ (", "{#", "{% raw %}", "{{ '_'*", "{{ }", "{{ attribute= "]
    for piece in pieces:
        template_danger(piece * (1_000_000 // len(piece)), "chat_template")
