"""The warehouse: landing tables, one dbt project, and the engines that both run on.

open          a warehouse by its URL
base          what a warehouse is; contracts: its connections, loads, extracts and shared builds
landing/      files are read, checked, deduplicated and attributed to users
dbt_project/  the dbt project (templates in `dbt/`), rendered and run by dbt or in memory
dialects      SQL written for DuckDB, translated for the other engines
engines/      DuckDB, Postgres and Spark: a folder each, with the same methods
publish       copies a build for readers; builds: whether it is of the spec as it is now
runs          what ran, on how many rows and for how long
"""
