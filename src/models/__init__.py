"""Learned scorers: estimators, imbalance, tuning, explanations, spend.

encoding      a feature table as a matrix; categories by target encoding
classifier    one scikit-learn classifier over the libraries that rank
fitted        what a fit leaves behind: raw scores, contributions, safe files
storage       every kind of fitted model on disk
purchases     BG/NBD and Gamma-Gamma, the classic of repeat purchase; purchase_fits fits them
recency       the floor; blend a mean of models that says why; rank_average one that does not
learned       a fitted model behind the Scorer contract
catalogue     what is compared; candidates how each is fitted; custom those from outside
spend         expected spend, three ways; spend_fits fits them
explain       contributions in words; stability how far they stay when values are nudged
tuning        a search for better parameters
"""
