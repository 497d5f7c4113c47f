"""Public keys as an issuer publishes them (RFC 7517). Loads `cryptography`: for servers that have an issuer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWK, PyJWTError

MOST_KEYS = 100
LEAST_BITS, MOST_BITS = 2048, 8192
"""Of an RSA key: fewer are too weak (RFC 7518, 3.3), more take long to check."""
ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
"""By `kty`: what a key of that kind may check here."""
CURVE = "P-256"
_NUMBERS = {"RSA": ("n", "e"), "EC": ("x", "y")}
_LONGEST_NUMBER = 1400
"""Characters: 8192 bits in base64url."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key, good for one algorithm.

    Attributes:
        algorithm: RS256 or ES256.
        key_id: its `kid`; None where it has none.
    """

    algorithm: str
    key_id: str | None
    _jwk: PyJWK

    def made(self, signature: bytes, signed: bytes) -> bool:
        """Whether its owner signed that."""
        return self._jwk.Algorithm.verify(signed, self._jwk.key, signature)


@dataclass(frozen=True, slots=True)
class KeySet:
    """All usable keys of an issuer."""

    keys: Sequence[PublicKey]

    def find(self, algorithm: str, key_id: str | None) -> PublicKey | None:
        """The key of that name for that algorithm; for a token that names none, the only one of the algorithm."""
        fitting = [key for key in self.keys if key.algorithm == algorithm]
        if key_id is None:
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.key_id == key_id), None)


def read(body: bytes) -> KeySet:
    """The keys of a JWK set that sign, by the algorithms known here; all others are passed over.

    Raises:
        ValueError: no JWK set, or one of more than `MOST_KEYS` keys; the message says which.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("no JSON") from None
    listed: list[Any] | None = None
    if isinstance(found, dict) and isinstance(found.get("keys"), list):
        listed = found["keys"]
    if listed is None:
        raise ValueError("no set of keys")
    if len(listed) > MOST_KEYS:
        raise ValueError(f"more than {MOST_KEYS} keys")
    keys = (_read_key(each) for each in listed if isinstance(each, dict))
    return KeySet(tuple(key for key in keys if key is not None))


def _read_key(jwk: dict[str, Any]) -> PublicKey | None:
    """None for one that is of no use: another kind, for encryption, broken, too weak, or not public at all."""
    kind, key_id = jwk.get("kty"), jwk.get("kid")
    if kind not in ("RSA", "EC"):
        return None
    algorithm = ALGORITHMS[kind]
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        return None
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or "verify" not in uses or not isinstance(key_id, str | None):
        return None
    numbers = [jwk.get(name) for name in _NUMBERS[kind]]
    if "d" in jwk or not all(isinstance(n, str) and len(n) <= _LONGEST_NUMBER for n in numbers):
        return None
    if kind == "EC" and jwk.get("crv") != CURVE:
        return None
    try:
        made = PyJWK(jwk, algorithm)
        bits = made.key.key_size
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError, OverflowError):
        return None
    if kind == "RSA" and not LEAST_BITS <= bits <= MOST_BITS:
        return None
    return PublicKey(algorithm, key_id, made)
