#!/bin/sh
# dbt's table to where sumsq reads it, checked before the upload. After `dbt build`, for PostgreSQL;
# what stands in its place for another warehouse ends that one's query in the folder above.
set -eu

here=$(dirname "$0")
made=$(mktemp)
trap 'rm -f "$made"' EXIT
psql -X -q -v ON_ERROR_STOP=1 \
  -c 'COPY (SELECT * FROM sumsq_counts ORDER BY 1, 2, 3, 4, 5, 6) TO STDOUT WITH (FORMAT csv, HEADER)' > "$made"
"$here/../publish.sh" "$made" s3://com.my-company.counts/exports/counts.csv "$here/../shop-conversions.yaml"
