"""Events: the contract, readers of files, connectors and the synthetic generator.

`contract.py` says what an accepted event is and what keeps a row out. `records/` reads text files
record by record, so that nothing is ever lost. `connectors/` turn a known public data set into
events. `synthetic/` generates datasets with a known ground truth.
"""
