"""Airflow 3: every morning the last 30 days' counts, checked and put where sumsq reads them.

A sketch of two ways; keep the one that is yours. `postgres` writes a file and uploads it, in one task,
since the next one may run on another worker. `snowflake` lets the warehouse write into a staging
folder; Redshift and Databricks do the same with their own query. The workers need publish.sh, sumsq
and the AWS CLI; the connection to PostgreSQL is libpq's (PGHOST, PGUSER, ~/.pgpass, ...).

A run says which day it is for, so that the run of a day writes the same file whenever it runs again.
Each file replaces the days that it holds, so a missed run needs no catching up.
"""

import pathlib
from datetime import timedelta

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

EXPORTS = pathlib.Path("/opt/exports")  # a copy of the folder examples/exports
ZONE = "America/New_York"  # as settings.time_zone in the query
TARGET = "s3://com.my-company.counts/exports/counts.csv"
STAGED = "s3://com.my-company.counts/staging/counts.csv"

# The first day that is not exported: the one on which the run is due.
END_DAY = "{{ (data_interval_end or dag_run.run_after).in_timezone('" + ZONE + "').to_date_string() }}"

COMMON = {
    # Well before the DataSource's schedule, with time for retries.
    "schedule": "0 6 * * *",
    "start_date": pendulum.datetime(2026, 1, 1, tz=ZONE),
    "catchup": False,
    # An older file must not replace a newer one.
    "max_active_runs": 1,
    "default_args": {"retries": 3, "retry_delay": timedelta(minutes=10)},
    "template_searchpath": [str(EXPORTS)],
    "tags": ["sumsq"],
}

with DAG("sumsq_counts_postgres", **COMMON):
    BashOperator(
        task_id="export_check_publish",
        cwd=str(EXPORTS),
        append_env=True,
        env={"PGOPTIONS": f"-c sumsq.end_day={END_DAY}"},
        # A file that sumsq would refuse ends the task before the upload, with what is wrong in its log.
        bash_command=f"""
            set -euo pipefail
            made=$(mktemp)
            trap 'rm -f "$made"' EXIT
            psql -X -q -v ON_ERROR_STOP=1 -f postgres.sql > "$made"
            ./publish.sh "$made" {TARGET} shop-conversions.yaml
        """,
    )

with DAG("sumsq_counts_snowflake", **COMMON):
    stage = SQLExecuteQueryOperator(
        task_id="stage",
        conn_id="snowflake",
        sql="snowflake.sql",
        split_statements=True,
    )
    publish = BashOperator(
        task_id="check_publish",
        cwd=str(EXPORTS),
        append_env=True,
        bash_command=f"./publish.sh {STAGED} {TARGET} shop-conversions.yaml",
    )
    stage >> publish
