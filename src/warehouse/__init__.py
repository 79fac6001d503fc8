"""The warehouse: landing tables, one dbt project, and what is published for readers.

`engine.py` opens a warehouse by URL. `landing.py` loads files into landing tables. `project.py`
renders the dbt project (templates in `dbt/`) for a spec, `dbt_run.py` runs it, `direct.py` runs
the same models in memory. `published.py` is the immutable copy that readers use.
"""
