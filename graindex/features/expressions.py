"""SQL expressions of users: one value per row, always the same one, from columns named in it.

Out of scope: whether the columns are there (`graindex.features.plan`).
"""

import json
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

_ALLOWED = {
    "CASE", "CAST", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "BETWEEN", "CONSTANT", "OPERATOR",
    "FUNCTION",
}  # fmt: skip
# Consistent by DuckDB's account, yet they tell of the session and not of the row.
_OF_SESSION = {"current_setting", "getvariable"}
_MACROS = {"nullif", "fdiv", "fmod"}
_ONE = threading.Lock()


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"enable_external_access": False})


@cache
def _functions() -> frozenset[str]:
    """Functions of one row whose value depends on nothing else."""
    rows = _parser().execute(
        "SELECT function_name FROM duckdb_functions() WHERE function_type = 'scalar' "
        "GROUP BY ALL HAVING bool_and(stability = 'CONSISTENT')"
    )
    return frozenset(str(name).lower() for (name,) in rows.fetchall()) - _OF_SESSION | _MACROS


def check_expression(text: str) -> tuple[str, ...]:
    """Columns that an expression names, in order and each once.

    Raises:
        ValueError: it is no expression, looks at more than its row, or is not the same each time;
            one line says why.
    """
    with _ONE:
        # The bracket stands on a line of its own, where no comment can swallow it.
        wrapped = f"SELECT (({text}\n) IS NULL)"
        answer = _parser().execute("SELECT json_serialize_sql(?::VARCHAR)", [wrapped]).fetchone()
        known = _functions()
    tree: dict[str, Any] = json.loads(answer[0]) if answer else {"error": True}
    if tree["error"]:
        message = f"{text!r}: {' '.join(str(tree.get('error_message')).split())}"
        raise ValueError(message)
    expression = _only_expression(tree)
    if expression is None:
        message = f"{text!r} is not one expression"
        raise ValueError(message)
    columns: dict[str, None] = {}
    for part in _walk(expression):
        kind = part["class"]
        if kind not in _ALLOWED:
            message = f"{text!r}: {kind.lower().replace('_', ' ')} is not allowed in an expression"
            raise ValueError(message)
        if kind == "FUNCTION" and str(part["function_name"]).lower() not in known:
            message = (
                f"{text!r}: {part['function_name']}() is not a function of one row that always "
                "gives the same"
            )
            raise ValueError(message)
        if kind == "COLUMN_REF":
            columns[".".join(part["column_names"])] = None
    return tuple(columns)


def _only_expression(tree: dict[str, Any]) -> dict[str, Any] | None:
    """What stands in the brackets; None where the text closed them and went on."""
    node = tree["statements"][0]["node"]
    if len(tree["statements"]) != 1 or node["type"] != "SELECT_NODE":
        return None
    further = (node.get("where_clause"), node.get("group_expressions"), node.get("modifiers"))
    if any(further) or node["from_table"]["type"] != "EMPTY" or len(node["select_list"]) != 1:
        return None
    whole: dict[str, Any] = node["select_list"][0]
    if whole["type"] != "OPERATOR_IS_NULL" or whole["alias"]:
        return None
    return whole


def _walk(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "class" in node:
            yield node
        for value in node.values():
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)
