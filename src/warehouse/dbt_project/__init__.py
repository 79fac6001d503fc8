"""The dbt project: rendered for a spec and an engine, and run by dbt or in memory."""
