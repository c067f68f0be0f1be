#!/bin/sh
# Checks a CSV, and puts it where the DataSource reads it. Only what sumsq accepts gets there.
#
#   publish.sh FILE|s3://BUCKET/STAGED s3://BUCKET/KEY DATA-SOURCE.yaml
#
# The bytes that are uploaded are those that were checked. One upload replaces the object whole:
# nobody ever reads half of it. It needs sumsq and the AWS CLI. SUMSQ and AWS name others, such as
# AWS='aws --profile exports'.
set -eu

if [ $# -ne 3 ]; then
  sed -n '2,4p' "$0" >&2
  exit 2
fi
made=$1 target=$2 data_source=$3

case $made in
  s3://*)
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    ${AWS:-aws} s3 cp --only-show-errors "$made" "$folder/counts.csv"
    made=$folder/counts.csv
    ;;
esac

# Exits 1 where the file would be rejected. Warnings are printed, and do not stop it.
${SUMSQ:-sumsq} check "$made" --data-source "$data_source"
${AWS:-aws} s3 cp --only-show-errors --content-type text/csv "$made" "$target"
