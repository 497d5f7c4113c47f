"""The one truth that survives a restart: SQLite beside the server, or PostgreSQL for several."""
