"""Which scorer ranks better: metrics with intervals, paired comparisons, leakage checks.

ranking_metrics, probability_metrics   metrics, with ties treated fairly
thresholds         targeting users above a threshold: precision, recall, profit
folds              backtest folds by date; fold_scores: scorers' scores on one fold
paired_bootstrap   every metric of every scorer, with replicates on shared draws of users
differences        estimates and differences with intervals, single and simultaneous
comparison         which scorer ranks better, by how much, how certain; also evaluates one scorer
custom_metrics     metrics from plugins; spend: how good expected spend is
leakage_checks     checks that an honest pipeline passes and a leaking one fails
"""
