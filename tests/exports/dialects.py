"""Parses each query in its own dialect, and translates it into DuckDB's.

Reads {"": folder, "file.sql": "dialect", ...} and answers for each file {"ctes": [[name, [columns]],
...], "columns": [...], "other": [...], "translated": text}: what its one query holds, the first words
of statements that are not about what the result is but where it goes, and the query for DuckDB, where
end_day is a variable and the session's zone is UTC.
"""

import json
import logging
import pathlib
import sys

import sqlglot
from sqlglot import exp

# A statement that it knows by its first word alone is told apart below.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


def statements(text, dialect):
    begin = 0
    for token in sqlglot.tokenize(text, read=dialect):
        if token.token_type == sqlglot.TokenType.SEMICOLON:
            yield text[begin : token.start]
            begin = token.end + 1
    assert not text[begin:].strip(), "the last statement has no semicolon"


def zones(node, dialect):
    """What sqlglot does not carry over, by these dialects' manuals."""
    if dialect == "bigquery" and isinstance(node, exp.Timestamp) and node.args.get("zone"):
        # TIMESTAMP(date, zone): midnight there.
        return duckdb(f"CAST({node.this.sql('duckdb')} AS TIMESTAMP) AT TIME ZONE {node.args['zone'].sql('duckdb')}")
    if dialect == "databricks" and isinstance(node, (exp.AtTimeZone, exp.FromTimeZone)):
        # FROM_UTC_TIMESTAMP: the clock there; TO_UTC_TIMESTAMP: the moment when it is this there.
        zone, moment = node.args["zone"].sql("duckdb"), node.this
        if isinstance(node, exp.AtTimeZone):
            # The parser adds a cast that would drop the zone of DuckDB's timestamps.
            moment = moment.this if isinstance(moment, exp.Cast) else moment
            return duckdb(f"({moment.sql('duckdb')}) AT TIME ZONE {zone}")
        return duckdb(f"(({moment.sql('duckdb')}) AT TIME ZONE 'UTC') AT TIME ZONE {zone}")
    return node


def duckdb(text):
    return sqlglot.parse_one(text, read="duckdb")


def translated(query, dialect):
    query = query.copy()
    for cte in query.find_all(exp.CTE):
        if cte.alias == "settings":
            (end_day,) = (column for column in cte.this.expressions if column.alias == "end_day")
            end_day.set("this", duckdb("CAST(GETVARIABLE('end_day') AS DATE)"))
    return query.transform(zones, dialect).sql("duckdb")


def shape(text, dialect):
    queries, other = [], []
    for statement in statements(text, dialect):
        try:
            parsed = sqlglot.parse_one(statement, read=dialect)
        except sqlglot.errors.ParseError:
            parsed = None
        if parsed is not None and parsed.find(exp.With):
            queries.append(parsed.find(exp.With).parent)
        else:
            words = [line for line in statement.splitlines() if line and not line.startswith("--")]
            other.append(" ".join(" ".join(words).split()[:3]))
    (query,) = queries
    return {
        "ctes": [[cte.alias, cte.this.named_selects] for cte in query.find(exp.With).expressions],
        "columns": query.named_selects,
        "other": other,
        "translated": translated(query, dialect),
    }


asked = json.load(sys.stdin)
folder = pathlib.Path(asked.pop(""))
json.dump({file: shape((folder / file).read_text(), dialect) for file, dialect in asked.items()}, sys.stdout)
