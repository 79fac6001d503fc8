"""Generated mutants of the decision code, and whether the tests notice them.

    make test-mutations                              # a seeded sample of 80
    python -m tests.mutations --sample 200 --seed 1  # another one, larger
    python -m tests.mutations --list                 # the sample, without running it
    python -m tests.mutations --only src/evaluation  # of some files alone

A mutant is one small change of one file: a comparison, an operator, a number, a returned value, a
check that no longer raises. It is planted in a copy of the checkout, and the tests of that file
run until the first failure. A mutant that no test notices survives; those that are known and why
they survive are in CONTRIBUTING.md. Exits 1 when less than 95% of the sample is caught.

Left alone are words that users read (texts and f-strings), type annotations, docstrings, and the
settings at the head of a module: another number of trees is another choice, not a mistake.
"""
