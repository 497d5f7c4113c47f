"""A row for every table, as the first revision knows it."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, dict[str, Any]] = {
    "blobs": {"id": "f/b", "folder": "f", "size": 3, "created_at": 1.5},
    "blob_pieces": {"blob_id": "f/b", "number": 0, "data": b"abc"},
    "jobs": {"id": "j", "tenant_id": "t", "subject": "s", "address": "a", "state": "queued", "options": {"a": 1},
             "total": 1, "created_at": 1.5},
    "job_items": {"job_id": "j", "index": 0, "name": "n", "image_blob": "f/b", "mask_blob": "f/b", "state": "queued",
                  "run_at": 0.0, "notices": ["x"]},
    "webhook_deliveries": {"id": "w", "job_id": "j", "url": "u", "body": "b", "state": "pending", "run_at": 0.0,
                           "created_at": 1.5},
    "usage_events": {"source": "job", "source_id": "j/0", "tenant_id": "t", "subject": "s", "model": "m", "units": 1,
                     "at": 1.5},
    "idempotency_keys": {"tenant_id": "t", "route": "r", "key": "k", "fingerprint": "f", "expires_at": 2.5,
                         "headers": {"a": "b"}},
}  # fmt: skip
