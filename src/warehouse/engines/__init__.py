"""The engines: DuckDB, Postgres and Spark, each with the same methods."""
