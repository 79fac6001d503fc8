"""Which ranks better: metrics with their uncertainty, paired comparisons, leakage checks.

`ranking.py` and `probabilities.py` have the metrics, ties handled fairly, and `acting.py` those of
acting from a threshold on. `comparison.py` sets scorers against each other: `replicates.py` draws
users and measures everybody on each draw, `measured.py` holds what came out beside the values
themselves, `differences.py` makes intervals and families of them, and `custom.py` has metrics from
outside. `leakage_checks.py` looks for leaks, `folds.py` cuts time into tests, and `spend.py`
measures expected spend.
"""
