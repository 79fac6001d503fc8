"""Which scorer ranks better: metrics with intervals, paired comparisons, leakage checks.

ranking_metrics, probability_metrics   metrics, ties handled fairly
thresholds         targeting everybody above a threshold: precision, recall, profit
folds              backtest folds by date; fold_scores: what is measured on one
paired_bootstrap   every metric of every scorer on the same draws of users
bootstrap_metrics  the values and their draws; differences: intervals and families of them
comparison         which scorer ranks better, by how much, how sure
custom_metrics     metrics from outside; spend: how good expected spend is
leakage_checks     tests that an honest pipeline passes and a leaking one fails
"""
