"""A row for every table, as the revision that made it knows it."""

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
"""By the first revision."""
LATER: dict[str, dict[str, Any]] = {
    "users": {"id": "u", "plan": "free", "role": "user", "created_at": 1.5},
    "api_keys": {"id": "k", "user_id": "u", "name": "n", "digest": "d", "pepper_id": "p", "ending": "wxyz",
                 "scopes": ["erase"], "made_by": "u", "created_at": 1.5},
    "audit_log": {"at": 1.5, "actor": "a", "action": "key.create", "target": "k", "details": {"a": 1}},
    "quota_days": {"tenant_id": "u", "day": "2026-11-24", "held": 1, "used": 2},
    "wallets": {"tenant_id": "u", "credit": 5, "held": 1, "owed": 2},
    "reservations": {"id": "r", "tenant_id": "u", "subject": "k", "plan": "free", "day": "2026-11-24", "units": 1,
                     "unit_price": 2000, "charging": "invoice", "state": "held", "created_at": 1.5, "expires_at": 2.5},
    "ledger_entries": {"at": 1.5, "tenant_id": "u", "subject": "k", "source": "call", "source_id": "r",
                       "day": "2026-11-24", "calls": 1, "from_account": "owed", "to_account": "revenue", "amount": 2000,
                       "plan": "free", "note": ""},
    "subscriptions": {"user_id": "u", "plan": "basic", "state": "active", "period_start": 1.5, "period_end": 2.5,
                      "provider": "manual", "updated_at": 1.5},
    "subscription_events": {"at": 1.5, "user_id": "u", "kind": "started", "actor": "a", "details": {}},
    "payment_inbox": {"provider": "stripe", "event_id": "e", "type": "t", "body": "{}", "received_at": 1.5,
                      "run_at": 1.5},
}  # fmt: skip
"""By the second."""
