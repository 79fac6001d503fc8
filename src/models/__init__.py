"""Learned scorers: estimators, imbalance, tuning, explanations, spend.

encoding      a feature table as a matrix; categories by target encoding
kinds         a module for each kind of model: how it is fitted, what it leaves, its search
scorecard_classifier  the scorecard as a scikit-learn classifier
classifier    one scikit-learn classifier over the kinds that learn two classes
labels        labels of a fit as two classes
fitted        the contract of a fitted model; model_files its folder on disk
points        a scorecard as a fitted model
purchases     the formulas of BG/NBD and Gamma-Gamma; purchase_fits fits them
rank_average  several scorers as one, which gives no reasons
learned       a fitted model behind the Scorer contract
catalogue     what is compared; candidates fits it; custom candidates from outside
spend         expected spend, by three methods; spend_fits fits them
explain       contributions in words; stability how far they stay under perturbations
tuning        a search for better parameters
"""
