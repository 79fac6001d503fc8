#!/bin/sh
# The trainings of 001 and of 002's first question, which hold two learners plain, with class
# weights and with SMOTE; each output says what resampling did. About ten minutes, and none if
# those experiments were run here before: their fits are kept.
set -eu
cd "$(dirname "$0")/../.."
WHYRANK=${WHYRANK:-.venv/bin/whyrank}
OLIST=${OLIST:-../shared/data/olist}
sh experiments/001-which-ranks-better-saas/run.sh "$@"
mkdir -p data/experiments/002
export WHYRANK_SPEC=olist WHYRANK_WAREHOUSE="duckdb:///data/experiments/002/olist.duckdb"
"$WHYRANK" ingest --connector olist "$OLIST"
"$WHYRANK" build
"$WHYRANK" train --as-of 2018-06-01 --horizon 60d --seed 0 "$@"
