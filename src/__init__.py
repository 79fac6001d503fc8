"""whyrank: a product's event log in, a ranked list of users with reasons out."""
