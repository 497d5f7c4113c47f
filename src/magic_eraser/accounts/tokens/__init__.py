"""Tokens of an issuer (JWT). Read `tokens`, then `jws` (how they are signed), `jwks` and `jwk_set` (public keys)."""
