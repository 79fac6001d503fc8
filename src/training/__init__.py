"""Training: data sets from snapshots, fits on backtest folds, and the record kept of them.

datasets      snapshots of the population with their labels
fitting       every candidate on every fold; spark: on a cluster; cache_key: what fits depend on
calibration   probabilities and thresholds from outcomes that a fit has not seen
tuning        a search for parameters on earlier folds; leakage: the checks of a training
points_calibration, shape_proposal   a calibrated scorecard, and one of another shape
record*       what is logged of each; plots, scorer_plots, shape_plots: its pictures
"""
