"""Ranking: users ordered by the active scorer, and the attributions behind each rank."""
