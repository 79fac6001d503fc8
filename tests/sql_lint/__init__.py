"""The style of the SQL of the dbt project, as it is rendered."""
