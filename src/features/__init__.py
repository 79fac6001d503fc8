"""Features: declared in a spec, compiled to SQL.

`operations.py` is the catalogue: what each operation keeps per user and day, and how days become
a value. `compiler.py` turns a spec into the columns of the warehouse's models, `marts.py` into what
the analytics marts need. `limits.py` has the values that no feature can have.
"""
