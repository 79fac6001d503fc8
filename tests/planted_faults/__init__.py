"""Plant faults in a copy of the source, one at a time, and see whether the tests catch them.

    python -m tests.planted_faults [--only KIND ...] [--tree PATH] [--list] [--verbose]
    python -m tests.planted_faults --one-a-kind [--seed N] --jobs 2

Each fault is a mistake that a programmer could make: one snippet of the source replaced by
another. The tests named with it run in the copy, chosen by the marker expression of the target of
the Makefile that has to catch it, so that a test which left that target counts no more. pytest has
to say that tests failed (exit code 1); if all of them passed the fault was not caught, and any
other end (nothing collected, a wrong call, no end in time) says that the fault or its tests are to
be looked at. Before that, the same tests have to pass in the copy as it is, none of them skipped:
those of test-engines need Postgres, those of test-spark PySpark and Java.

The exit code is 0 when every fault was caught, 1 when one was not, and 2 when nothing could be
found out: a snippet that is not there exactly once, or tests that fail without a fault.
"""
