"""The published copy of a build, as its readers see it: snapshots, outcomes and other tables.

Readers (ranking, training, behavior, reports) need this package and no warehouse.
"""
