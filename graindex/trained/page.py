"""Form of the page of a model, for jinja2.

Out of scope: what stands in it (`graindex.trained.report`).
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ card.reference }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; }
table { border-collapse: collapse; margin: .6rem 0 1.4rem; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .7rem; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.warning { background: #fff3cd; border-left: 4px solid #e69f00; padding: .5rem .8rem;
           margin: .4rem 0; }
figure { display: inline-block; margin: .4rem .8rem .4rem 0; vertical-align: top; }
figure.worst { width: 9rem; font-size: 12px; overflow-wrap: anywhere; }
img { max-width: 100%; }
code { overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{ card.model }} <small>version {{ card.version }}</small></h1>
<p>{{ card.description or "" }}
{% if is_network %}Finds particles in images by {{ title }}, as people drew them.</p>
{% else %}Predicts <b>{{ card.label.name }}</b>
{%- if card.label.unit %} in {{ card.label.unit }}{% endif %} by {{ title }}.</p>
{% endif %}{% for warning in card.warnings %}<p class="warning">{{ warning }}</p>
{% endfor %}
<h2>How good it is</h2>
{% if of_training %}<p class="warning">These are rows that the model was trained on.</p>{% endif %}
<figure><img src="{{ result }}" alt="predicted against measured"></figure>
<table>
<tr><th>rows</th><th>metric</th><th>value</th><th>95 % interval</th><th>unit</th>
<th>number</th></tr>
{% for m in metrics %}<tr><td>{{ m.evaluation }}</td><td>{{ m.metric }}</td>
<td class="number">{{ m.value | figures }}</td>
<td>{% if m.lower is not none %}{{ m.lower | figures }} to {{ m.upper | figures }}
{%- else %}–{% endif %}</td><td>{{ m.unit }}</td><td class="number">{{ m.rows }}</td></tr>
{% endfor %}</table>
<p>Intervals: {{ card.interval }}. Rows called train were trained on.</p>
{% if classes %}<h3>Each class</h3>
<table><tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>95 % interval of F1</th>
<th>rows</th></tr>
{% for c in classes %}<tr><td>{{ c.name }}</td><td class="number">{{ c.precision.value | figures }}
</td><td class="number">{{ c.recall.value | figures }}</td>
<td class="number">{{ c.f1.value | figures }}</td>
<td>{{ c.f1.lower | figures }} to {{ c.f1.upper | figures }}</td>
<td class="number">{{ c.rows }}</td></tr>
{% endfor %}</table>{% endif %}
{% for title, parts in (("Each fold", folds), ("Parts, and shortcuts", others)) %}
{%- if parts.rows %}<h3>{{ title }}</h3>
<table><tr><th>part</th><th>rows</th>
{% for name in parts.names %}<th>{{ name }}</th>{% endfor %}</tr>
{% for part, row in parts.rows.items() %}<tr><td>{{ part }}</td>
<td class="number">{{ row.rows }}</td>
{% for name in parts.names %}<td class="number">{{ row[name] | figures if name in row else "–" }}
</td>{% endfor %}</tr>
{% endfor %}</table>{% endif %}{% endfor %}
{% if worst %}<h2>Farthest off</h2>
{% for row in worst %}<figure class="worst">
{% if row.thumbnail %}<img src="{{ row.thumbnail }}" alt="">{% endif %}
<figcaption>{{ row.path }}<br>measured {{ row.measured }}<br>predicted {{ row.predicted }}
</figcaption></figure>
{% endfor %}{% endif %}
{% if drivers %}<h2>What drives it</h2>
{% for caption, picture in drivers %}<figure><img src="{{ picture }}" alt="{{ caption }}">
<figcaption>{{ caption }}</figcaption></figure>
{% endfor %}{% endif %}
{% for section in sections %}<h2>{{ section.title }}</h2>
{% if section.note %}<p>{{ section.note }}</p>
{% endif %}{% if section.table %}<table>
<tr>{% for name in section.table[0] %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in section.table %}<tr>{% for value in row.values() %}<td>{{ value }}</td>
{%- endfor %}</tr>
{% endfor %}</table>
{% endif %}{% for caption, picture in section.pictures %}<figure>
<img src="{{ picture }}" alt="{{ caption }}"><figcaption>{{ caption }}</figcaption></figure>
{% endfor %}{% endfor %}{% if curves and course %}<h2>Learning curves</h2>
<figure><img src="{{ curves }}" alt="{{ course[1] }} over {{ course[0] }}"></figure>
{% elif curves %}<h2>Choosing the penalty</h2>
<figure><img src="{{ curves }}" alt="validation error over the penalty"></figure>{% endif %}
<h2>What it is</h2>
<table>{% for name, value in facts %}<tr><th>{{ name }}</th><td><code>{{ value }}</code></td></tr>
{% endfor %}</table>
{% if card.notes %}<h3>Notes on labels and split</h3>
<ul>{% for note in card.notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}
{% if card.limits %}<h3>Limits</h3>
<ul>{% for limit in card.limits %}<li>{{ limit }}</li>{% endfor %}</ul>{% endif %}
<h2>What it was trained on</h2>
<table><tr><th>collection</th><th>licence</th><th>citation</th><th>source</th></tr>
{% for d in card.data %}<tr><td>{{ d.dataset }}</td><td>{{ d.licence or "not stated" }}</td>
<td>{{ d.citation or "–" }}</td><td>{{ d.source or "–" }}</td></tr>
{% endfor %}</table>
<p>Made with {% for name, number in card.code_versions.items() %}{{ name }} {{ number }}
{%- if not loop.last %}, {% endif %}{% endfor %}.</p>
</body>
</html>
"""
