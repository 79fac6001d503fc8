"""The landing tables: files are read, checked, deduplicated and attributed to users."""
