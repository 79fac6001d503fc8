"""Which scorer ranks better: metrics with intervals, paired comparisons, leakage checks.

ranking_metrics, probability_metrics   metrics, ties handled fairly
thresholds         targeting everybody above a threshold: precision, recall, profit
folds              backtest folds by date; fold_scores: what is measured on one
paired_bootstrap   every metric of every scorer, and its replicates on the same draws of users
differences        estimates and differences from replicates, with intervals and families of them
comparison         which scorer ranks better, by how much, how sure; of one scorer, an evaluation
custom_metrics     metrics from outside; spend: how good expected spend is
leakage_checks     tests that an honest pipeline passes and a leaking one fails
"""
