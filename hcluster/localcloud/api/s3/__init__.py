"""S3, of our own: records in SQLite, bytes in files, both there before a write is answered."""
