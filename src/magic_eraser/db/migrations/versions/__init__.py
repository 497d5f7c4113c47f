"""One file for each revision, `rNNNN_what.py`, written by hand; `NNNN` is its name in the database.

On SQLite a step is one transaction with foreign keys off, so that a batch (copy, drop, rename) of a table that others
point to deletes nothing. A step works on both databases, keeps the data, and can be undone. What differs from the
tables' declarations is told by tests/integration/db/test_migrations.py.
"""
