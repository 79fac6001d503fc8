#!/bin/sh
# Shapes the scorecards of saas and Olist and compares them, optbinning's scorecard beside them.
# OLIST=folder of the data set, OPTBINNING=python of an environment with optbinning, pandas, pyarrow.
set -eu
cd "$(dirname "$0")/../.."
HERE=experiments/005-can-the-scorecard-learn-its-shape
WHYRANK=${WHYRANK:-.venv/bin/whyrank}
PYTHON="$(dirname "$WHYRANK")/python"
OLIST=${OLIST:-../shared/data/olist}
HOME_DIR=data/experiments/005
mkdir -p "$HOME_DIR"
SAAS="duckdb:///$HOME_DIR/saas.duckdb" RETAIL="duckdb:///$HOME_DIR/olist.duckdb"
"$WHYRANK" generate --users 20000 --days 240 --seed 7 --out "$HOME_DIR/events.parquet"
"$WHYRANK" ingest "$HOME_DIR/events.parquet" --users-file "$HOME_DIR/events_users.parquet" --warehouse "$SAAS"
"$WHYRANK" build --warehouse "$SAAS"
"$WHYRANK" ingest --spec olist --warehouse "$RETAIL" --connector olist "$OLIST"
"$WHYRANK" build --spec olist --warehouse "$RETAIL"
measure() { # spec, warehouse, folds, last test (none: the latest known)
    "$PYTHON" "$HERE/snapshots.py" "$1" "$2" "$3" "$HOME_DIR/$1" $4
    "$OPTBINNING" "$HERE/optbinning_card.py" "$HOME_DIR/$1"
    "$PYTHON" "$HERE/measure.py" "$1" "$2" "$3" "$HOME_DIR/$1" $4
}
measure saas "$SAAS" 3 ""
measure olist "$RETAIL" 3 2018-06-01
"$WHYRANK" calibrate --shape --warehouse "$SAAS"
"$WHYRANK" calibrate --shape --spec olist --warehouse "$RETAIL" --as-of 2018-06-01
