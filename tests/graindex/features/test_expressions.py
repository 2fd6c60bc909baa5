import pytest

from graindex.features.expressions import check_expression


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a / b + ln(c)", ("a", "b", "c")),
        ("case when a > 1 and b is not null then 2 else a end", ("a", "b")),
        ('"A b" :: double', ("A b",)),
        ("a between 1 and 2 or c in ('x', 'it''s')", ("a", "c")),
        ("nullif(a, 0) -- of one row", ("a",)),
        ("coalesce(a, b, 0)", ("a", "b")),
        ("1", ()),
    ],
)
def test_expressions_of_one_row_tell_their_columns(text, columns):
    assert check_expression(text) == columns


@pytest.mark.parametrize(
    "text",
    [
        "(SELECT max(a) FROM t)", "exists(select 1)", "a IN (SELECT b FROM t)", "sum(a)",
        "avg(a) OVER ()", "random()", "now()", "uuid()", "*", "COLUMNS('a')", "$1",
        "a; DROP TABLE t", "1) or (2", "1), (2", "1) from (select 1", "1) where (1 = 1",
        "a) union (select 1", "", "a +", "getenv('HOME')", "current_setting('threads')",
        "read_text('/etc/passwd')", "list_transform([1], x -> x)",
    ],
)  # fmt: skip
def test_what_looks_further_or_changes_is_refused_in_one_line(text):
    with pytest.raises(ValueError) as caught:
        check_expression(text)
    assert "\n" not in str(caught.value)
