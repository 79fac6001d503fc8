#!/bin/sh
# Trains two learners plain, with class weights and with SMOTE, on both specs. About five minutes.
set -eu
cd "$(dirname "$0")/../.."
WHYRANK=${WHYRANK:-.venv/bin/whyrank}
OLIST=${OLIST:-../shared/data/olist}
HOME_DIR=data/experiments/003
mkdir -p "$HOME_DIR"
NAMES=logistic,logistic_weights,logistic_smote,xgboost,xgboost_weights,xgboost_smote
"$WHYRANK" train --spec saas --warehouse "duckdb:///$HOME_DIR/saas.duckdb" --candidates $NAMES
"$WHYRANK" ingest --spec olist --connector olist --warehouse "duckdb:///$HOME_DIR/olist.duckdb" "$OLIST"
"$WHYRANK" build --spec olist --warehouse "duckdb:///$HOME_DIR/olist.duckdb"
"$WHYRANK" train --spec olist --warehouse "duckdb:///$HOME_DIR/olist.duckdb" \
    --as-of 2018-06-01 --horizon 60d --candidates $NAMES
