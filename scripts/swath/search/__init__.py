"""Search: which trials go on, and which come next; as files."""
