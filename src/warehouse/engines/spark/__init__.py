"""Spark as the warehouse."""
