open_records = None
