"""Durable batches: many pictures in one request, worked through whatever happens to a server."""
