"""Statistics that evaluation, behavior and causal share.

`bootstrap.py` resamples users, as counts of cells, and turns replicates into intervals, alone or
jointly.
"""
