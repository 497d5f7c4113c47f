"""The same answer to the same request, however often it is sent (draft-ietf-httpapi-idempotency-key-header)."""
