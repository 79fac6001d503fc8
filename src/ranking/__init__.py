"""Ranking: score users by the active scorer, order them, and explain each rank.

rank              scores users and explains some of them; spark: the same on a cluster
active_scorer     the scorer that ranks, and what was trained with it; saved: scorers on disk
attributions      points and log-odds by feature for one user; mean_attributions: over many users
disagreements     users whom scorecard and model rank apart; drift: features against training
results           a ranked list, and the explanation of one user; write: the files of a list
"""
