"""The scorecard: points, reasons, calibration, and the ranking that is exported.

scorecard     sums terms into points, exactly, in Python and as one SQL expression
transforms    maps a feature to 0..1; points_scorer: the scorecard as a `Scorer`
reasons       contributions in words; reasons_csv the same as data
calibration   points from data; term_fit the regression behind it
shape_fit     terms, shapes and bands from data; shapes, shaped_card
ranking       orders users and writes the files; lists: whose a file is
"""
