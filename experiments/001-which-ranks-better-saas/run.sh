#!/bin/sh
# Generates the world, trains every candidate, prints the comparison. About three minutes.
set -eu
cd "$(dirname "$0")/../.."
WHYRANK=${WHYRANK:-.venv/bin/whyrank}
HOME_DIR=data/experiments/001
mkdir -p "$HOME_DIR"
"$WHYRANK" train --spec saas --warehouse "duckdb:///$HOME_DIR/saas.duckdb" --seed 0 "$@"
