"""Small templates for make_vectors.py: (source, variables). What they render to is jinja2's to say."""
import sys

VARIABLES = {
    "s": "Hello, Wörld!", "t": "  \n\tpad ded\u3000\n", "u": "日本語 👍🏽 e\u0301", "e": "", "n": 7, "m": -7, "f": 2.5, "g": 1e16, "z": 0,
    "yes": True, "no": False, "nil": None, "l": [3, 1, 2], "w": ["b", "A", "c", "a"], "d": {"b": 1, "a": {"x": [1, 2]}, "items": "mine", "C": None},
    "rows": [{"n": "x", "v": 1, "on": True}, {"n": "y", "v": 3, "on": False}, {"n": "z", "v": 2}], "mixed": [1, "1", 1.0, True, None, [1], {"k": 1}],
    "q": "it's \"quoted\" \\ \n\x01\x7f\u200b\u00ad\ue000 é", "sig": "ΟΔΟΣ ΣΑΣ Σ ΑΣ.", "lines": "a\nb\r\nc\x0bd\u2028e\n", "csv": "a,b,,c,",
}
SOURCES = r"""
{{ s }}|{{ s|upper }}|{{ s|lower }}|{{ s|title }}|{{ s|capitalize }}|{{ s|length }}
{{ s[0] }}{{ s[-1] }}{{ s[1:4] }}{{ s[:-1] }}{{ s[::-1] }}{{ s[::2] }}{{ s[5:2:-1] }}{{ s[100:] }}{{ s[-100:3] }}
{{ u[0] }}{{ u[3:5] }}{{ u[::-1] }}{{ u|length }}{{ u|reverse }}{{ u|first }}{{ u|last }}
{{ s[100] }}|{{ s[100] is defined }}|{{ l[5] is defined }}|{{ l[-3] }}|{{ l[-4] is undefined }}
[{{ t|trim }}][{{ t.strip() }}][{{ t.lstrip() }}][{{ t.rstrip() }}][{{ s.strip('H!d') }}][{{ s|trim('!H') }}][{{ u.rstrip('\u0301e') }}]
{{ csv.split(',') }}{{ csv.split(',', 2) }}{{ csv.rsplit(',', 1) }}{{ t.split() }}{{ 'a b  c '.split(none, 1) }}{{ e.split(',') }}{{ e.split() }}
{{ csv.split(',')|join('+') }}{{ '-'.join(w) }}{{ l|join }}{{ l|join(', ') }}{{ rows|join('/', attribute='n') }}
{{ lines.splitlines() }}{{ lines.splitlines(true) }}{{ ''.splitlines() }}
{{ s.startswith('Hell') }}{{ s.endswith('!') }}{{ s.startswith(('x', 'H')) }}{{ s.startswith('') }}{{ e.endswith('x') }}
{{ s.find('W') }}{{ s.find('zz') }}{{ s.rfind('l') }}{{ s.index('l') }}{{ s.count('l') }}{{ u.find('👍') }}{{ s.count('') }}
{{ s.replace('l', 'L') }}{{ s.replace('l', 'L', 1) }}{{ s|replace('l', '') }}{{ s|replace('', '-') }}{{ 'aaaa'|replace('aa', 'b') }}{{ s|replace('l', 'L', 2) }}
{{ s.removeprefix('Hel') }}{{ s.removesuffix('!') }}{{ s.removeprefix('x') }}
{{ sig.lower() }}|{{ sig|lower }}|{{ 'ß ŉ ǆ ﬁ İ'|upper }}|{{ 'ß ŉ ǆ ﬁ İ'.title() }}|{{ 'ǆ ß'|capitalize }}|{{ "don't stop-me (now)"|title }}|{{ "don't stop-me (now)".title() }}
{{ '123'.isdigit() }}{{ 'abc'.isalpha() }}{{ 'ab1'.isalnum() }}{{ ' '.isspace() }}{{ ''.isdigit() }}{{ 'AB1'.isupper() }}{{ 'ab1'.islower() }}{{ '1'.isupper() }}
{{ q }}|{{ [q] }}|{{ q|tojson }}|{{ [q]|tojson }}|{{ q|tojson(ensure_ascii=true) }}|{{ u|tojson(true) }}
{{ ["it's"] }}{{ ['say "x"'] }}{{ ['it\'s "x"'] }}{{ {'a': 'b', 1: [none, true, 2.0]} }}{{ (1, 'a') }}{{ (1,) }}{{ () }}{{ [] }}{{ {} }}
{{ d }}|{{ d|tojson }}|{{ d|tojson(indent=2) }}|{{ d|tojson(separators=(',', ':')) }}|{{ d.a|tojson(sort_keys=true) }}|{{ mixed|tojson }}
{{ [[], {}, [[]], {'a': {}}]|tojson(indent=1) }}|{{ {1: 2, true: 3, none: 4, 1.5: 5}|tojson }}
{{ d.items is callable }}{{ d['items'] }}{{ d.b }}{{ d['b'] }}{{ d.nope }}{{ d['nope'] }}{{ d.get('b') }}{{ d.get('q') }}{{ d.get('q', 5) }}
{{ d.keys()|list }}{{ d.values()|list }}{{ d.items()|list }}{{ d|list }}{{ d|length }}{{ 'b' in d }}{{ 'q' in d }}{{ 'q' not in d }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in d|items %}{{ k }}{% endfor %}{% for k in d %}{{ k }}{% endfor %}
{{ d|dictsort }}{{ d|dictsort(true) }}{{ {'b': 2, 'a': 3}|dictsort(by='value', reverse=true) }}
{{ 1 + 2 }} {{ 1 - 2 }} {{ 2 * 3 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ m // 2 }} {{ m % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 6 / 2 }}
{{ 1.5 + 1 }} {{ 7.5 // 2 }} {{ -7.5 // 2 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 2.0 ** 0.5 }} {{ 1e3 }} {{ 1_000 }} {{ 1.0 }} {{ 0.1 + 0.2 }}
{{ g }} {{ 1e15 }} {{ 123456789012345678 }} {{ 1e-4 }} {{ 1e-5 }} {{ 1.5e-7 }} {{ 1e22 }} {{ 1.7976931348623157e308 }} {{ 5e-324 }} {{ -0.0 }} {{ 1e400 }}
{{ true + 1 }} {{ true }} {{ none }} {{ false == 0 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ none == false }} {{ [1] == [1.0] }} {{ (1,) == [1] }}
{{ 'a' * 3 }}{{ 3 * 'ab' }}{{ 'a' * -1 }}{{ [1] * 2 }}{{ [1] + [2] }}{{ 'a' 'b' "c" }}{{ 'a' ~ 1 ~ none ~ 2.0 ~ true ~ nope }}
{{ 1 < 2 }}{{ 2 < 1 }}{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}{{ 'a' < 'b' }}{{ 'B' < 'a' }}{{ 1 <= 1.0 }}{{ 2 >= 3 }}{{ 3 != 3 }}{{ 1 == 1 != 2 }}
{{ 1 in l }}{{ 9 in l }}{{ 'W' in s }}{{ 'w' in s }}{{ '' in s }}{{ 1 not in l }}{{ not 1 in l }}{{ true in [1] }}{{ none in [nope, none] }}
{{ not true }}{{ not e }}{{ not not s }}{{ yes and s }}{{ no and s }}{{ e or 'x' }}{{ s or 'x' }}{{ nil or e or 0 }}{{ 1 and 2 or 3 }}
{{ 'a' if yes else 'b' }}{{ 'a' if no else 'b' }}{{ 'a' if no }}{{ 'a' if no else 'b' if no else 'c' }}{{ ('a' if no) is defined }}
{{ -n }}{{ +n }}{{ - -n }}{{ -f }}{{ n - -1 }}{{ -n|abs }}{{ (-n)|abs }}{{ f|int }}{{ '12'|int }}{{ 'x'|int }}{{ 'x'|int(5) }}{{ '3.7'|int }}{{ '1.5'|float }}{{ 'x'|float }}{{ n|float }}{{ true|int }}
{{ 2.5|round }}{{ 3.5|round }}{{ 2.567|round(2) }}{{ 2.1|round(0, 'ceil') }}{{ 2.9|round(method='floor') }}{{ 7|round }}
{{ nope }}|{{ nope is defined }}|{{ nope|default('x') }}|{{ e|default('x') }}|{{ e|default('x', true) }}|{{ nil|d('x') }}|{{ nil|d('x', boolean=true) }}|{{ nope|length }}|{{ nope|list }}|{{ nope == nada }}|{{ not nope }}|{{ 'x' in nope }}
{% for x in nope %}x{% else %}none{% endfor %}{% if nope %}x{% elif e %}y{% else %}z{% endif %}
{{ s is string }}{{ n is number }}{{ yes is number }}{{ n is integer }}{{ yes is integer }}{{ f is float }}{{ yes is boolean }}{{ 1 is boolean }}{{ d is mapping }}{{ l is mapping }}{{ l is iterable }}{{ n is iterable }}{{ s is iterable }}{{ d is iterable }}{{ nil is none }}{{ nope is none }}
{{ l is sequence }}{{ s is sequence }}{{ d is sequence }}{{ n is sequence }}{{ yes is true }}{{ 1 is true }}{{ no is false }}{{ 0 is false }}{{ nope is undefined }}{{ d.items is callable }}{{ s is callable }}
{{ n is odd }}{{ n is even }}{{ n is divisibleby 7 }}{{ n is divisibleby(2) }}{{ n is eq 7 }}{{ n is ne(7) }}{{ n is gt 3 }}{{ n is lt 3 }}{{ n is ge 7 }}{{ n is le 7 }}{{ 1 is in l }}{{ 9 is not in l }}{{ 'a' is lower }}{{ 'a' is upper }}{{ n is sameas n }}{{ n is equalto 7 }}
{{ n is not none and s is not mapping }}{{ n is defined and n > 3 }}{{ (n is odd) == true }}{{ 'trim' is filter }}{{ 'odd' is test }}{{ 'zzz' is filter }}
{{ l|sort }}{{ l|sort(reverse=true) }}{{ w|sort }}{{ w|sort(case_sensitive=true) }}{{ rows|sort(attribute='v')|map(attribute='n')|join }}{{ w|unique|list }}{{ l|reverse|list }}{{ l|first }}{{ l|last }}{{ l|sum }}{{ l|max }}{{ l|min }}{{ rows|sum(attribute='v') }}{{ [[1, 2], [3]]|sum(start=[]) }}
{{ w|map('upper')|join }}{{ rows|map(attribute='n')|list }}{{ rows|map(attribute='on', default='?')|list }}{{ l|map('string')|join('|') }}{{ w|map('replace', 'a', 'z')|list }}
{{ rows|selectattr('on')|map(attribute='n')|list }}{{ rows|rejectattr('on')|map(attribute='n')|list }}{{ rows|selectattr('v', 'gt', 1)|list|length }}{{ rows|selectattr('on', 'defined')|list|length }}{{ l|select('odd')|list }}{{ l|reject('odd')|list }}{{ [0, 1, '', 'a']|select|list }}
{% if rows|selectattr('n', 'equalto', 'none of them') %}generators are true{% endif %}{{ rows[0].n }}{{ rows[1]['v'] }}{{ rows[-1].n }}{{ rows|map(attribute='n')|first }}
{{ range(5)|list }}{{ range(1, 4)|list }}{{ range(5, 0, -2)|list }}{{ range(0)|list }}{{ range(3)|length }}{{ range(10)[2] }}{{ range(4)|sum }}
{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent(2, blank=true) }}|{{ 'a\nb'|indent('> ') }}
{{ '%s-%d-%%' % ('a', 3) }}{{ '%s' % 5 }}{{ '%s' % s }}{{ '%r' % s }}{{ '%d' % 3.9 }}
{{ dict(a=1, b='x') }}{{ dict(a=1).a }}{{ namespace(a=1).a }}{{ dict({'q': 1}, r=2)|tojson }}
{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(x=1) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}{% set ns.y = 'new' %}{{ ns.y }}{{ ns.zz }}
{% if yes %}{% set x = 'in if' %}{% endif %}{{ x }}{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set a, b = b, a %}{{ a }}{{ b }}{% set (c, d) = [5, 6] %}{{ c }}{{ d }}
{% for a, b in [(1, 2), [3, 4]] %}{{ a }}-{{ b }} {% endfor %}{% for (a, b) in {'k': 'v'}.items() %}{{ a }}{{ b }}{% endfor %}{% for c in 'añb' %}[{{ c }}]{% endfor %}
{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('x', 'y') }};{% endfor %}
{% for i in l if i > 1 %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% else %}none{% endfor %}{% for i in l if i > 9 %}{{ i }}{% else %}none{% endfor %}
{% for i in range(9) %}{% if i == 2 %}{% continue %}{% elif i == 5 %}{% break %}{% endif %}{{ i }}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}<{{ j }}>{% endfor %}{% endfor %}
{% for i in l %}{% for j in l %}{{ loop.depth }}{{ loop.index }}{% endfor %}{{ loop.index }}{% endfor %}
{% for l in l %}{{ l }}{% endfor %}{{ l }}{% for x in l %}{% set x = x * 2 %}{{ x }}{% endfor %}
{% macro f(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }} {{ f(1, 3) }} {{ f(b=5, a=4) }} {{ f() }} {{ f(1, c=9) }}{{ f is callable }}{{ f.name }}
{% macro g() %}<{{ caller('x') }}>{% endmacro %}{% call(v) g() %}[{{ v }}{{ s }}]{% endcall %}{% macro h() %}{{ s }}{{ later }}{% endmacro %}{% set later = 'L' %}{{ h() }}
{% macro fact(n) %}{% if n > 1 %}{{ n }}*{{ fact(n - 1) }}{% else %}1{% endif %}{% endmacro %}{{ fact(5) }}{{ fact(3)|length }}{{ fact(3) ~ 'x' }}
{% set x %}  a{{ n }}  {% endset %}[{{ x }}]{% set y | upper | trim %}  b{{ s }} {% endset %}[{{ y }}]{% filter lower|replace('h', 'j') %}{{ s }}{% endfilter %}
{% with a = 1, b = 2 %}{{ a + b }}{% set a = 5 %}{{ a }}{% endwith %}{{ a }}{% with %}{% set z = 3 %}{{ z }}{% endwith %}{{ z }}
{% raw %}{{ x }}{% if %}{# #}{% endraw %}|{%- raw -%}  {{ y }}  {%- endraw -%}|
{# comment #}a{#- both -#}  b  {#- left #}  c{# right -#}  d{# {{ x }} {% if %} #}
{% print s %}{{ l|length > 2 and 'many' or 'few' }}{{ (1, 2)|length }}{{ 'x' if l else 'y' }}{{ [1, 2,] }}{{ {'a': 1,} }}
{{ '\x41\u00e9\U0001F600\101\t|\q|\\|\'|\"' }}{{ "\n" }}{{ 'a\
b' }}
{{ "nested 'quotes' and }} braces" }}{{ {'a': {'b': {}}} }}{{ [[1, [2]], (3, (4,))] }}{{ '{{' }}{{ '%}' }}
{{ l.index(1) }}{{ l.count(3) }}{{ s.nope }}|{{ n.nope }}|{{ l.nope }}|{{ nil.nope }}|{{ d.a.x[1] }}{{ d['a']['x'][-1] }}{{ rows.0.n }}{{ rows[0]['n'] }}
{{ s|string }}{{ 5|string }}{{ none|string }}{{ l|string }}{{ 5|upper }}{{ none|trim }}{{ true|lower }}{{ 1.0|string|length }}
{{ w|min }}{{ w|max }}{{ w|min(true) }}{{ rows|max(attribute='v') }}{{ []|min }}|{{ [1, 2] < [1, 3] }}{{ [1] > [] }}{{ (1, 'b') >= (1, 'a') }}
{{ lines|indent(2) }}|{{ lines|indent(2, true, true) }}|{{ ''|indent }}|{{ sig|title }}|{{ 0|map('upper')|list }}{{ 'a %s' % [] }}{{ 'x' % {} }}
{{ nope|int }}
{{ nope|float }}
{{ 'x' % 'y' }}
{{ n[1:] }}
{{ strftime_now('%Y-%m-%d %H:%M:%S %j %A %a %B %b %y %p %I %%') }}
{{ a.b.c }}
{{ nope.x }}
{{ nope() }}
{{ nope + 1 }}
{{ nope < 1 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ none + 'a' }}
{{ none.startswith('a') }}
{{ d.nope.x }}
{{ l[9].x }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ l.append(1) }}
{{ d.update({}) }}
{{ d.pop('b') }}
{{ 5|length }}
{{ none|length }}
{{ 5|list }}
{% for x in 5 %}{% endfor %}
{% for a, b in [1] %}{% endfor %}
{% set x.y = 1 %}
{% set d.y = 1 %}
{{ nope|tojson }}
{{ raise_exception('my words: é "x"') }}
{{ 'a' in 5 }}
{{ 5 in 'a' }}
{{ [] < 1 }}
{{ none < 1 }}
{{ {}[[]] }}
{{ s.split('') }}
{{ s.index('zzz') }}
{{ range(1000000) }}
{{ rows|selectattr('n')|length }}
{{ nope|upper ~ '|' ~ (nope|trim) }}
{{ not nope.x }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}
{% if %}{% endif %}
{% for x l %}{% endfor %}
{% endif %}
{% if x %}
{{ x
{{ 'abc }}
{{ (1, 2 }}
{{ [1, 2) }}
{% unknown %}
{# never ends
{% raw %} never ends
{{ 1 +* 2 }}
{{ x | }}
{{ x.}}
{{ 1 if }}
{{ a b }}
{{ $x }}
{% set 5 = x %}
{% set x %}
{% break %}
{{ {1: 2, 3} }}
{{ f(a=1, 2) }}
{{ x is }}
"""
BLOCKS = [
    "a\n  {% if yes %}\n  b\n  {% endif %}\nc\n", "a\n  {%- if yes -%}\n  b\n  {%- endif -%}\nc\n\n", "  {% if yes %}x{% endif %}  \n", "{% if yes %}\n\nx{% endif %}\n\n",
    "a  {%+ if yes %} b {%+ endif %} c", "a\n  {%+ if yes +%}\n b{% endif %}", "{{ 1 }}\n{{ 2 }}\n", "  {{ 1 }}  \n  {{- 2 -}}  \n  {{ 3 }}\n", "a\r\nb\rc\n{{ 'x\r\ny' }}\r\n",
    "  {# c #}\n  x{# c #}\n  {#- c -#}\n y", "  {#+ c #}\nx", "\t{% set x = 1 %}\t\nx", "a {% set x = 1 %}\n b", "{% if yes %}{% if yes %}\n  x\n  {% endif %}{% endif %}\n",
    "  {% raw %}\n  x\n  {% endraw %}\n  y", "a\u00a0{%- if yes %}\u3000x{% endif -%}\u2003b", "\u00a0{% if yes %}x{% endif %}", "{%- for i in l %}\n{{ i }}\n{%- endfor %}\n",
    "{%- for i in l -%}\n {{ i }},\n{% endfor %}x", "{% for i in l %}\n  {{ i }}\n{% endfor %}", "x{{ '\n' }}\n{{ '' }}\n\n", "", "\n", "\n\n", "{", "{ {", "}}", "a{b}c%}", "{{ '}}' }}", "{{- 1 }}{{ 2 -}}\n",
    "{%if yes%}x{%endif%}", "{%-if yes-%} x {%-endif-%} y", "{{-1}}", "{{ -1 }}", "{{+1}}", "{% if yes %}\n\n\n{%- endif %}|", "é\n  {% if yes %}é\n{% endif %}é",
]
NUMBERS = [0, -0.0, 1, -1, 1.0, 0.1, 1e21, 1e16, 9999999999999998.0, 123456789.123, 1e-5, 0.0001, 0.00012345, 5e-324, 1.7976931348623157e308, 2**53, 2**63 - 1, -2**63,
           2**63, 10**30, -10**25, 1 / 3, 2 / 3, 100.0, 1e100, 1.5e-10, 3.141592653589793, 4.35, 0.3, 2.675, 1e15, 123456789012345.6]


def expressions():
    source = None
    for line in SOURCES.strip("\n").split("\n"):
        source = line if source is None else source + "\n" + line
        if line.endswith("\\"):
            continue
        yield source, VARIABLES
        source = None
    for block in BLOCKS:
        yield block, VARIABLES
    for x in NUMBERS:
        yield "{{ x }}|{{ x|tojson }}|{{ [x] }}", {"x": x}
    # every character's case, printability and white space, in blocks
    for first in range(0, sys.maxunicode + 1, 2048):
        block = "".join(chr(c) for c in range(first, first + 2048) if not 0xD800 <= c < 0xE000)
        if any(ch.isprintable() for ch in block) and (block.lower() != block or block.upper() != block or first < 0x4000):
            yield "{{ x|upper }}|{{ x|lower }}|{{ x.title() }}|{{ [x] }}|{{ x|tojson }}|{{ x.split()|join('_') }}", {"x": block}
