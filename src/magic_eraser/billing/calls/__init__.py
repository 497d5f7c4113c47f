"""Calls reserved, settled, released and expired. Read `database_quota`, then `callers` (who may), `counting` (the
statements) and `reaper` (holds that nobody ends).
"""
