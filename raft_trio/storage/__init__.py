"""The write-ahead log as bytes and file operations, still without doing any I/O."""
