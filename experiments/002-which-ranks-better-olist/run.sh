#!/bin/sh
# Reads the Olist data set (OLIST=folder), trains every candidate for each of the five questions
# and prints the comparisons, a calibration of the points, then the readings that leak. About twenty
# minutes.
set -eu
cd "$(dirname "$0")/../.."
WHYRANK=${WHYRANK:-.venv/bin/whyrank}
OLIST=${OLIST:-../shared/data/olist}
HOME_DIR=data/experiments/002
mkdir -p "$HOME_DIR"
export WHYRANK_SPEC=olist WHYRANK_WAREHOUSE="duckdb:///$HOME_DIR/olist.duckdb"
"$WHYRANK" ingest --connector olist "$OLIST"
"$WHYRANK" build
"$WHYRANK" train --as-of 2018-06-01 --horizon 60d --seed 0
for day in 2018-03-01 2018-05-01 2018-06-01; do
    "$WHYRANK" train --as-of "$day" --horizon 90d --folds 1 --seed 0
done
"$WHYRANK" train --as-of 2018-03-01 --horizon 180d --folds 1 --seed 0
"$WHYRANK" calibrate --against outcome
"$(dirname "$WHYRANK")/python" experiments/002-which-ranks-better-olist/leaky.py "$OLIST"
