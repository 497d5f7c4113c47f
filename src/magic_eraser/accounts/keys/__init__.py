"""API keys. Read `api_key` and `key_format`, then `keys` (made, rotated, revoked) with `rules` and `rows`, and `check`
(asked at every call) with `pepper` (the secret of their digests).
"""
