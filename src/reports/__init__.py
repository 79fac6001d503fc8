"""Figures, tables and texts of what was found."""
