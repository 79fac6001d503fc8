"""Ranking: users scored and ordered by the active scorer, and what explains each rank.

rank              scores users, and explains some of them; spark: where the data are
active_scorer     the scorer that ranks, and what was trained with it; saved: scorers on disk
attributions      points beside log-odds for one user; mean_attributions over many
disagreements     on whom scorecard and model disagree; drift: features against the training's
results           a ranked list, and the explanation of one user
"""
