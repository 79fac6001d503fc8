"""Which ranks better: metrics of rankings with their uncertainty.

`ranking.py` has ROC AUC, average precision, lift, precision and recall at k, each with a bootstrap
interval over users, and ties handled fairly.
"""
