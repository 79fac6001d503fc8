#!/bin/sh
# Five small worlds, three learners, two sets of parameters. About three minutes.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
HOME_DIR=data/experiments/004
rm -rf "$HOME_DIR"
"$PYTHON" experiments/004-do-reasons-stay/measure.py "$HOME_DIR"
