"""Synthetic datasets with a known ground truth, so that a ranking can be checked against it.

- `saas`: the entry point, `generate_saas`, for the website of a software product
- `population`: who the people are: segments, intent, habits, all parameters with units
- `visits`: when each person comes, with daily and weekly rhythm
- `actions`: what they do in a visit: pages, demo requests, signup, bookings
- `tables`: arrays to the columns of the files: events, users, truth
- `media`: a dataset of its own, people who watch, search and buy, with every effect known
- `world`: what every generator is asked for, and what it returns
- `spill`: records many times larger than memory, put in time order
- `write`: files of any size in bounded memory, whole or not at all

Every dataset has its own behaviour modules and shares `world` and `write`.
"""
