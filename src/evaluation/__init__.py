"""Which ranks better: metrics with their uncertainty, paired comparisons, leakage sentinels.

`ranking.py` and `chances.py` have the metrics, ties handled fairly. `comparison.py` sets scorers
against each other: `replicates.py` draws users and measures everybody on each draw,
`differences.py` makes intervals and families of them. `sentinels.py` looks for leaks, `folds.py`
cuts time into tests, and `spend.py` measures expected spend.
"""
