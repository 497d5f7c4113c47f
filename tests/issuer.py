"""Whoever issues tokens: its keys, how it publishes them, and tokens good and bad, made by PyJWT and not by us."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

NOW = 1_790_000_000
SECRET = "a secret that nobody guesses, of 46 characters"
ISSUER, AUDIENCE = "https://id.example/", "magic-eraser"


@dataclass(frozen=True)
class SigningKey:
    algorithm: str
    key_id: str | None
    private: Any

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """As it is published; a change to None leaves the member out."""
        kind: Any = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        members = {**kind.to_jwk(self.private.public_key(), as_dict=True), "kid": self.key_id, "use": "sig"}
        members.pop("key_ops", None)
        members |= {"alg": self.algorithm, **changes}
        return {name: value for name, value in members.items() if value is not None}

    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def token(self, **changes: Any) -> str:
        headers = {"kid": self.key_id} if self.key_id is not None else {}
        return jwt.encode(claims(**changes), self.private, self.algorithm, headers=headers)


@cache
def rsa_key(key_id: str | None = "rsa-1", bits: int = 2048) -> SigningKey:
    return SigningKey("RS256", key_id, rsa.generate_private_key(65537, bits))


@cache
def ec_key(key_id: str | None = "ec-1") -> SigningKey:
    return SigningKey("ES256", key_id, ec.generate_private_key(ec.SECP256R1()))


def key_set(*keys: SigningKey | dict[str, Any]) -> bytes:
    listed = [key.jwk() if isinstance(key, SigningKey) else key for key in keys]
    return json.dumps({"keys": listed}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a good token; a change to `...` leaves the claim out."""
    good = {"sub": "alice", "iat": NOW - 60, "exp": NOW + 600, "iss": ISSUER, "aud": AUDIENCE}
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def hs256(secret: str = SECRET, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, "HS256", headers=headers)


def segment(content: Any) -> str:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def published(*keys: SigningKey | dict[str, Any]) -> httpx2.MockTransport:
    """Stands for the issuer's server, without a network."""

    async def body() -> AsyncIterator[bytes]:
        yield key_set(*keys)

    return httpx2.MockTransport(lambda _request: httpx2.Response(200, content=body()))
