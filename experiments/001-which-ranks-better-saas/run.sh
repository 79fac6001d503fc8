#!/bin/sh
# Generates the world, trains every candidate, prints the comparison, and what the data would make
# of the points. About four minutes.
set -eu
cd "$(dirname "$0")/../.."
WHYRANK=${WHYRANK:-.venv/bin/whyrank}
HOME_DIR=data/experiments/001
mkdir -p "$HOME_DIR"
"$WHYRANK" train --demo --spec saas --warehouse "duckdb:///$HOME_DIR/saas.duckdb" --seed 0 "$@"
for against in outcome importance; do
    "$WHYRANK" calibrate --spec saas --warehouse "duckdb:///$HOME_DIR/saas.duckdb" --against $against
done
