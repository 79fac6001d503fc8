"""Features: declared in a spec, compiled to SQL, read back as a matrix.

`operations.py` is the catalogue: what each operation keeps per user and day, and how days become
a value. `compiler.py` turns a spec into the columns of the warehouse's models. `matrix.py` hands
a snapshot to scorers as named columns.
"""
