"""Reads the sketches as the programs do that they are for.

Reads {"": folder, "end_day": day, "dialects": [...]}; answers {model: query} with dbt's models for
DuckDB. Every YAML file is parsed, the Airflow file compiled, the models rendered for each warehouse
and parsed in its dialect.

What dbt itself brings is written out here, no more of it than the models use.
"""

import datetime
import json
import pathlib
import sys
import types

import jinja2
import pytz
import sqlglot
import yaml

MODELS = ["first_exposure", "clean_event", "per_visitor", "sumsq_counts"]
QUOTES = {"bigquery": "`", "databricks": "`"}


def environment(folder, variables, dialect):
    """dbt's, for this warehouse."""
    quote = QUOTES.get(dialect, '"')
    env = jinja2.Environment(undefined=jinja2.StrictUndefined)

    def dispatch(name):
        return env.globals.get(f"{dialect}__{name}") or env.globals[f"default__{name}"]

    env.globals.update(
        {
            "var": lambda name, default=None: variables.get(name, default),
            "ref": lambda name: name,
            "source": lambda _, name: name,
            "return": lambda value: value,
            "adapter": types.SimpleNamespace(dispatch=dispatch, quote=lambda name: f"{quote}{name}{quote}"),
            "dbt": types.SimpleNamespace(
                concat=lambda fields: " || ".join(fields),
                type_bigint=lambda: "INT64" if dialect == "bigquery" else "BIGINT",
            ),
            "modules": types.SimpleNamespace(datetime=datetime, pytz=pytz),
            "run_started_at": datetime.datetime.now(datetime.timezone.utc),
        }
    )
    for file in sorted((folder / "macros").glob("*.sql")):
        macros = env.from_string(file.read_text()).module
        env.globals.update({name: macro for name, macro in vars(macros).items() if not name.startswith("_")})
    return env


def models(folder, variables, dialect):
    env = environment(folder, variables, dialect)
    rendered = {name: env.from_string((folder / f"models/{name}.sql").read_text()).render() for name in MODELS}
    for query in rendered.values():
        sqlglot.parse_one(query, read=dialect)
    return rendered


asked = json.load(sys.stdin)
folder = pathlib.Path(asked[""])
for file in folder.rglob("*.yml"):
    assert yaml.safe_load(file.read_text()), file
for file in folder.rglob("*.py"):
    compile(file.read_text(), str(file), "exec")
dbt = folder / "dbt"
assert sorted(MODELS) == sorted(file.stem for file in (dbt / "models").glob("*.sql"))
described = yaml.safe_load((dbt / "models/schema.yml").read_text())["models"]
assert sorted(MODELS) == sorted(model["name"] for model in described)
variables = yaml.safe_load((dbt / "dbt_project.yml").read_text())["vars"]
# Without a day it is the day of the run.
models(dbt, variables, "duckdb")
views = {dialect: models(dbt, variables | {"end_day": asked["end_day"]}, dialect) for dialect in asked["dialects"]}
json.dump(views["duckdb"], sys.stdout)
