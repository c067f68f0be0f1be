"""What a nightly script would do instead: replace the rows of every agent and day that a CSV names,
in one transaction, by DuckDB or by PostgreSQL's COPY; and one agent's report query.

usage: rivals.py duckdb|postgres replace|query DATABASE FILE

Prints seconds, without the time for starting Python and connecting, and of a query the visitors that
it adds up.
"""

import sys
import time

FIXED = [
    ("Date", "BIGINT"),
    ("Agent", "VARCHAR"),
    ("Variation", "VARCHAR"),
    ("Sels", "BIGINT"),
    ("Trait_Group", "VARCHAR"),
    ("Trait_Value", "VARCHAR"),
]
SUFFIXES = [("", "BIGINT"), ("_sumsq", "BIGINT"), ("_val", "DOUBLE PRECISION"), ("_val_sumsq", "DOUBLE PRECISION")]

CREATE = "CREATE TABLE IF NOT EXISTS counts ({})"
DELETE = """DELETE FROM counts USING (SELECT DISTINCT "Date", "Agent" FROM incoming) AS named
    WHERE counts."Date" = named."Date" AND counts."Agent" = named."Agent" """
INSERT = "INSERT INTO counts SELECT * FROM incoming"
AGENT = "agent-7"


def columns(file):
    with open(file) as lines:
        names = lines.readline().strip().split(",")
    goals = [name for name in names[len(FIXED) :] if not name.endswith(("_sumsq", "_val"))]
    return FIXED + [(goal + suffix, kind) for goal in goals for suffix, kind in SUFFIXES]


def declared(file):
    return ", ".join(f'"{name}" {kind}' for name, kind in columns(file))


def report(file):
    sums = ", ".join(f'sum("{name}")' for name, kind in columns(file)[3:] if kind != "VARCHAR")
    return (
        f'SELECT "Variation", "Date", {sums} FROM counts WHERE "Agent" = \'{AGENT}\' '
        'GROUP BY "Variation", "Date" ORDER BY 1, 2'
    )


def timed(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def median_of(query):
    times = sorted(timed(query) for _ in range(21))
    return f"{times[len(times) // 2]} {sum(int(row[2]) for row in query())}"


def duckdb_replace(connection, file):
    types = ", ".join(f"'{name}': '{kind.split()[0]}'" for name, kind in columns(file))
    connection.execute("BEGIN")
    connection.execute(
        f"CREATE TEMP TABLE incoming AS SELECT * FROM read_csv('{file}', header = true, columns = {{{types}}})"
    )
    connection.execute(DELETE)
    connection.execute(INSERT)
    connection.execute("COMMIT")


def duckdb(what, database, file):
    import duckdb

    connection = duckdb.connect(database)
    connection.execute("SET threads = 2")
    connection.execute("SET enable_progress_bar = false")
    connection.execute(CREATE.format(declared(file)))
    if what == "replace":
        return timed(lambda: duckdb_replace(connection, file))
    return median_of(lambda: connection.execute(report(file)).fetchall())


def postgres_replace(connection, file):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE incoming (LIKE counts) ON COMMIT DROP")
        with open(file, "rb") as bytes, cursor.copy("COPY incoming FROM STDIN (FORMAT csv, HEADER)") as copy:
            while chunk := bytes.read(1 << 20):
                copy.write(chunk)
        cursor.execute("ANALYZE incoming")
        cursor.execute(DELETE)
        cursor.execute(INSERT)
    connection.commit()


def postgres(what, database, file):
    import psycopg

    connection = psycopg.connect(database)
    connection.execute(CREATE.format(declared(file)))
    connection.execute('CREATE INDEX IF NOT EXISTS by_agent ON counts ("Agent", "Date")')
    connection.commit()
    if what == "replace":
        return timed(lambda: postgres_replace(connection, file))
    return median_of(lambda: connection.execute(report(file)).fetchall())


rival, what, database, file = sys.argv[1:]
print({"duckdb": duckdb, "postgres": postgres}[rival](what, database, file))
