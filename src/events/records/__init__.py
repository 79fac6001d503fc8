"""Text files of events as records: no byte is ever lost.

`lines.py` finds where records begin and end. `parse.py` turns them into fields, or says why not.
`source.py` opens a file and streams Arrow batches in one pass and bounded memory.
"""
