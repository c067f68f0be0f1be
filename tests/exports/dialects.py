"""Parses each query in its own dialect.

Reads {"file.sql": "dialect", ...} with the folder as "" and answers for each file {"ctes":
[[name, [columns]], ...], "columns": [...], "other": [...]}: what the one query holds, and the first
words of statements that are not parsed, since they are about where a result goes and not about what
it is.
"""

import json
import logging
import pathlib
import sys

import sqlglot
from sqlglot import exp

# A statement that it knows by its first word alone is told apart below.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


def statements(text, dialect):
    begin = 0
    for token in sqlglot.tokenize(text, read=dialect):
        if token.token_type == sqlglot.TokenType.SEMICOLON:
            yield text[begin : token.start]
            begin = token.end + 1
    assert not text[begin:].strip(), "the last statement has no semicolon"


def shape(text, dialect):
    queries, other = [], []
    for statement in statements(text, dialect):
        try:
            parsed = sqlglot.parse_one(statement, read=dialect)
        except sqlglot.errors.ParseError:
            parsed = None
        if parsed is not None and parsed.find(exp.With):
            queries.append(parsed)
        else:
            words = [line for line in statement.splitlines() if line and not line.startswith("--")]
            other.append(" ".join(" ".join(words).split()[:3]))
    (query,) = queries
    named = query.find(exp.With)
    ctes = [[cte.alias, cte.this.named_selects] for cte in named.expressions]
    return {"ctes": ctes, "columns": named.parent.named_selects, "other": other}


asked = json.load(sys.stdin)
folder = pathlib.Path(asked.pop(""))
json.dump({file: shape((folder / file).read_text(), dialect) for file, dialect in asked.items()}, sys.stdout)
