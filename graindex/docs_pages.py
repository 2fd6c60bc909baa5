"""Pages of the data docs: the front page, and Great Expectations' pages made to work offline.

Out of scope: what stands on them (`graindex.data_docs`).
"""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 0; color: #222; background: #fff }
a { color: #0b5cad } code { font-size: 90% } h1, h2, h3, h4, h5 { line-height: 1.2 }
main, .container-fluid { padding: 1rem 2rem; max-width: 90rem; margin: auto }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem }
tr { border-bottom: 1px solid #ddd }
.number { text-align: right } .since { white-space: nowrap }
.passed, .text-success { color: #1a7f37 }
.failed, .text-danger { color: #b42318 } .warned { color: #9a6700 }
details > table { font-size: 90% } summary { cursor: pointer }
.row { display: flex; flex-wrap: wrap } .col-12 { flex: 0 0 100% }
.col-md-2 { flex: 0 0 15rem } .col-md-10 { flex: 1 1 30rem; min-width: 0 }
.col-3 { flex: 0 0 25% } .col-9 { flex: 0 0 75% } .col-4 { flex: 0 0 33% } .col-8 { flex: 0 0 66% }
.badge { background: #eee; border-radius: .3rem; padding: 0 .35rem; font-size: 90% }
.badge-info, .badge-secondary { background: #e3edf7 } .alert { padding: .5rem 1rem }
.alert-danger { background: #fdecea } .alert-success { background: #e9f6ec }
.nav, .list-unstyled, .breadcrumb { list-style: none; padding: 0; margin: 0 }
.breadcrumb { display: flex; gap: .6rem } .navbar img, footer, .modal { display: none }
.card:has(.btn-group-toggle) { display: none } .fas { font-style: normal }
.fa-check-circle::before { content: "✓" } .fa-times::before { content: "✗" }
.fa-exclamation-triangle::before { content: "!" } .collapse { display: block }
"""

# Nothing is fetched and nothing runs, whatever stands in the data.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)

_FRONT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">{{ policy }}<title>Checks</title>
<style>{{ style }}</style></head>
<body><main>
<h1>Checks</h1>
<p>Store at snapshot {{ snapshot }}, as of {{ at }}. Every row is also in the tables
<code>check_results</code> and <code>check_failures</code>.</p>
{% for dataset, assets in collections.items() %}
<h2 id="{{ dataset }}">{{ dataset }}</h2>
<table><tr><th>asset</th><th>check</th><th>ended</th><th class="number">rows</th>
<th class="number">failing</th><th>since</th><th>what to do</th></tr>
{% for row in assets %}
<tr><td>{{ row.asset }}</td><td>{{ row.check_name }}</td>
<td class="{{ row.ended }}">{{ row.ended }}</td><td class="number">{{ row.checked_count }}</td>
<td class="number">{{ row.failing_count }}</td><td class="since">{{ row.since }}</td>
<td>{% if not row.passed %}{{ row.advice }}{% for rule, failures in row.failures.items() %}
<details><summary>{{ rule }}: {{ failures[0].failing_count }}</summary><table>
{% for failure in failures %}<tr><td><code>{{ failure.failing_id }}</code></td>
<td>{{ failure.found }}</td></tr>{% endfor %}
</table></details>{% endfor %}{% endif %}</td></tr>
{% endfor %}</table>
<p>What Great Expectations says of
{% for table, address in pages[dataset].items() %}<a href="{{ address }}">{{ table }}</a>
{% endfor %}</p>
{% endfor %}
<h2>Suites</h2>
<p>What is expected of
{% for table, address in suites.items() %}<a href="{{ address }}">{{ table }}</a> {% endfor %}</p>
</main></body></html>
"""

Rows = Sequence[Mapping[str, Any]]


def front_page(
    collections: Mapping[str, Rows],
    pages: Mapping[str, Mapping[str, str]],
    suites: Mapping[str, str],
    *,
    snapshot: int,
    at: str,
) -> str:
    """The first page: how every check ended, what to do, and where to read on.

    Args:
        collections: rows of `check_results` by collection, with `ended`, `since` and `failures`
            (rows of `check_failures` by rule).
        pages: addresses of the validated tables, by collection and table.
        suites: addresses of the suites, by table.
        snapshot: the snapshot that the results are of.
        at: when that was.
    """
    template = Environment(autoescape=True).from_string(_FRONT)
    return template.render(
        collections=collections,
        pages=pages,
        suites=suites,
        snapshot=snapshot,
        at=at,
        style=_STYLE,
        policy=Markup(_POLICY),
    )


def offline(page: str, top: str) -> str:
    """A page of Great Expectations without what it would fetch from the network.

    Its templates load styles and scripts from six servers; tables and texts are in the page.

    Args:
        page: HTML.
        top: way from there to the folder of the front page, such as `../`.
    """
    plain = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL | re.IGNORECASE)
    plain = re.sub(r"<(link|img)\b[^>]*>", "", plain, flags=re.IGNORECASE)
    plain = re.sub(r"url\('?https?:[^)]*\)", "none", plain)
    plain = re.sub(r'href="(\.\./)+', f'href="{top}', plain)
    plain = re.sub(r"<head>", f"<head>{_POLICY}", plain, count=1)
    return plain.replace("</head>", f"<style>{_STYLE}</style></head>", 1)


def escaped(value: object) -> object:
    """A value as HTML text, with what it holds; Great Expectations puts values in as they are."""
    if isinstance(value, str):
        return html.escape(value)
    if isinstance(value, Mapping):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [escaped(item) for item in value]
    return value
