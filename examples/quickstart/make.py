#!/usr/bin/env python3
"""Make the quickstart's CSV anew from visitors.sql and export.sql, byte for byte the same.

    python3 -m venv /tmp/quickstart && /tmp/quickstart/bin/pip install duckdb==2.0.0
    /tmp/quickstart/bin/python examples/quickstart/make.py          # writes it
    /tmp/quickstart/bin/python examples/quickstart/make.py --check  # exits 1 where it would differ
"""

import pathlib
import sys
import tempfile

import duckdb

HERE = pathlib.Path(__file__).resolve().parent
CSV = HERE / "buckets/shop-experiment-counts/exports/shop-conversions.csv"


def main() -> int:
    database = duckdb.connect()
    database.execute((HERE / "visitors.sql").read_text())
    with tempfile.TemporaryDirectory() as folder:
        made = pathlib.Path(folder) / "made.csv"
        query = (HERE / "export.sql").read_text()
        database.execute(f"COPY (\n{query}\n) TO '{made}' (FORMAT csv, HEADER)")
        content = made.read_bytes()

    if "--check" in sys.argv[1:]:
        if content == CSV.read_bytes():
            return 0
        print(f"{CSV} is not what visitors.sql and export.sql make", file=sys.stderr)
        return 1

    CSV.parent.mkdir(parents=True, exist_ok=True)
    CSV.write_bytes(content)
    rows = content.count(b"\n") - 1
    print(f"{CSV}: {len(content):,} bytes, {rows:,} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
