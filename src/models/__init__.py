"""Learned scorers: estimators, imbalance, tuning, explanations, spend.

encoding      a feature table as a matrix; categories by target encoding
classifier    one scikit-learn classifier over the libraries that rank
fitted        what a fit leaves behind: raw scores, contributions, safe files
storage       every kind of fitted model on disk, and the blend of several
purchases     BG/NBD and Gamma-Gamma, the classic of repeat purchase; purchase_fits fits them
recency       the baseline; rank_average several scorers as one, which gives no reasons
learned       a fitted model behind the Scorer contract
catalogue     what is compared; candidates how each is fitted; custom those from outside
spend         expected spend, by three methods; spend_fits fits them
explain       contributions in words; stability how far they stay under perturbations
tuning        a search for better parameters
"""
