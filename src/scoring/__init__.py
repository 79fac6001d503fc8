"""The scorecard, its reasons, and the ranking that is exported.

`transforms.py` brings a feature to 0..1. `scorecard.py` sums terms into points, exactly.
`sql.py` writes the same scorecard as one SQL expression. `reasons.py` says contributions in
words. `ranking.py` orders users and writes the files.
"""
