"""Training: data sets from snapshots, fits on backtest folds, and the record kept of them."""
