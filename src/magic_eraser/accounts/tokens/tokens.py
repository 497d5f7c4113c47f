"""Tokens (JWT, RFC 7519) as a credential, judged as RFC 8725 asks, and made for users who have no other issuer.

HS256 counts only with the operator's secret, RS256 and ES256 only with the keys that the issuer publishes.
"""

from __future__ import annotations

import secrets as random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magic_eraser.accounts.identity import Identity
from magic_eraser.accounts.principal import USER_SCOPES, Scope
from magic_eraser.accounts.tokens import jws
from magic_eraser.accounts.tokens.jws import HS256, Jws, refused
from magic_eraser.accounts.users import check_id
from magic_eraser.errors import SettingsError, TokenExpired, ValidationFailed
from magic_eraser.settings import AuthSettings

if TYPE_CHECKING:
    from magic_eraser.accounts.tokens.jwks import Jwks

SUBJECT = "token"
LEAST_SECRET = 32
"""Bytes: the length of the digest (RFC 7518, 3.2)."""
LEAST_SECONDS, MOST_SECONDS = 60, 366 * 86_400
"""That a token made here may be good for."""
PUBLISHED = ("RS256", "ES256")
LAST_MOMENT = 2**53
"""Seconds since 1970; beyond it numbers are read in different ways."""


@dataclass(frozen=True, slots=True)
class TokenIdentity(Identity):
    """What a good token says.

    Attributes:
        issued_at: seconds since 1970; None where it does not say.
    """

    issued_at: float | None = None


class Tokens:
    """A `Handler` for tokens.

    Args:
        auth: which are accepted.
        jwks: the issuer's keys, instead of those at `auth.jwks_url`.
        clock: seconds since 1970.

    Raises:
        SettingsError: see `secret_of`; a JWKS without issuer and audience, or with an address that cannot be used.
    """

    def __init__(
        self, auth: AuthSettings, *, jwks: Jwks | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._auth = auth
        self._secret = secret_of(auth)
        self._jwks = jwks
        self._clock = clock
        if not auth.jwks_url:
            return
        missing = [name for name in ("issuer", "audience") if not getattr(auth, name)]
        if missing:
            names = " and ".join(f"ERASER_AUTH__{name.upper()}" for name in missing)
            raise SettingsError(
                f"ERASER_AUTH__JWKS_URL needs {names}: the issuer's tokens for other services must not count here."
            )
        if jwks is None:
            from magic_eraser.accounts.tokens.jwks import Jwks  # cryptography: 9 MB, for those who need it

            self._jwks = Jwks(auth.jwks_url)

    async def __call__(self, credential: str) -> TokenIdentity | None:
        """Whose token it is; None where it does not look like one. Its user need not exist, and may have been told to
        be refused: see `SignIn`.

        Raises:
            TokenExpired: it is over, by more than the leeway.
            InvalidToken: anything else is wrong with it.
            ProviderUnavailable: see `Jwks.find`.
        """
        if credential.count(".") < 2:
            return None
        token = jws.parse(credential)
        await self._check_signature(token)
        claims = token.claims()
        self._check_times(claims)
        self._check_meant_for_us(claims)
        return TokenIdentity(_user_id(claims), SUBJECT, _scopes(claims), issued_at=claims.get("iat"))

    async def _check_signature(self, token: Jws) -> None:
        """The algorithm decides which key may be looked for, never the other way round (RFC 8725, 3.1)."""
        good = False
        if token.algorithm == HS256 and self._secret is not None:
            good = jws.is_signed_by(token, self._secret)
        elif token.algorithm in PUBLISHED and self._jwks is not None:
            key = await self._jwks.find(token.algorithm, token.key_id)
            good = key.made(token.signature, token.signed)
        elif self._secret is None and self._jwks is None:
            raise refused("this server takes keys only, no tokens", "此服务器只接受密钥，不接受令牌")
        else:
            raise refused("it is not signed in a way that counts here", "签名算法不被接受")
        if not good:
            raise refused("its signature is wrong", "签名错误")

    def _check_times(self, claims: dict[str, Any]) -> None:
        now, leeway = self._clock(), self._auth.leeway_seconds
        ends, issued, begins = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
        if ends is None:
            raise refused("it does not say when it ends (exp)", "缺少过期时间（exp）")
        if ends + leeway <= now:
            raise TokenExpired("The token has expired.", "令牌已过期。")
        if any(moment is not None and moment > now + leeway for moment in (issued, begins)):
            raise refused(
                "it is not good yet; the issuer's clock may be ahead", "尚未生效，签发方的时钟可能偏快"
            )

    def _check_meant_for_us(self, claims: dict[str, Any]) -> None:
        if self._auth.issuer and claims.get("iss") != self._auth.issuer:
            raise refused("it is of another issuer (iss)", "签发方（iss）不符")
        audience = claims.get("aud")
        if isinstance(audience, list) and len(audience) == 1:  # RFC 7519, 4.1.3: the same in other words
            audience = audience[0]
        if audience != (self._auth.audience or None):
            raise refused("it is meant for another service (aud)", "受众（aud）不符")


def secret_of(auth: AuthSettings) -> bytes | None:
    """The secret of HS256; None where none is set.

    Raises:
        SettingsError: it is shorter than `LEAST_SECRET` bytes, or a key that is made to be shown.
    """
    secret = auth.jwt_secret.get_secret_value().encode()
    if not secret:
        return None
    if len(secret) < LEAST_SECRET:
        raise SettingsError(
            f"ERASER_AUTH__JWT_SECRET has {len(secret)} bytes and needs {LEAST_SECRET}; "
            '"openssl rand -base64 48" makes one.'
        )
    begin = secret.lstrip()
    if begin.startswith((b"-----BEGIN", b"ssh-", b"ecdsa-", b"{")):
        raise SettingsError(
            "ERASER_AUTH__JWT_SECRET is a key, such as others may know, and no secret of HS256; "
            "keys of an issuer are read from ERASER_AUTH__JWKS_URL."
        )
    return secret


def issue(
    auth: AuthSettings,
    user_id: str,
    *,
    at: float,
    scopes: Collection[Scope] = USER_SCOPES,
    seconds: float | None = None,
) -> tuple[str, dict[str, Any]]:
    """A token by HS256, and its claims.

    Args:
        at: now, seconds since 1970, by the database's clock, by which `Users.refuse_tokens` goes.
        scopes: what it is good for, as far as its user may.
        seconds: that it is good for, `LEAST_SECONDS`..`MOST_SECONDS`; `auth.token_seconds` where None.

    Raises:
        SettingsError: there is no secret to sign it with; see also `secret_of`.
        ValidationFailed: no scopes; the time is too short or too long.
    """
    secret = secret_of(auth)
    if secret is None:
        raise SettingsError(
            'Set ERASER_AUTH__JWT_SECRET first, here and for the server: "openssl rand -base64 48" makes one.'
        )
    seconds = auth.token_seconds if seconds is None else seconds
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise ValidationFailed(
            f"A token is good for {LEAST_SECONDS} to {MOST_SECONDS} seconds, not {seconds:g}.",
            f"令牌有效期应为 {LEAST_SECONDS} 到 {MOST_SECONDS} 秒，而不是 {seconds:g} 秒。",
        )
    if not scopes:
        raise ValidationFailed("A token needs a scope at least.", "令牌至少需要一个权限。")
    claims: dict[str, Any] = {
        "sub": user_id,
        "iat": round(at, 3),  # finer than a second, so that one made right after a refusal of all is good
        "exp": int(at + seconds),
        "jti": random.token_urlsafe(16),
        "scope": " ".join(sorted(scopes)),
    }
    if auth.issuer:
        claims["iss"] = auth.issuer
    if auth.audience:
        claims["aud"] = auth.audience
    return jws.sign(claims, secret), claims


def _moment(claims: dict[str, Any], name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LAST_MOMENT:
        raise refused(f"{name} is no moment", f"{name} 不是有效的时间")
    return float(value)


def _user_id(claims: dict[str, Any]) -> str:
    name = "user_id" if "user_id" in claims else "sub"
    value = claims.get(name)
    if not isinstance(value, str):
        raise refused(f"{name} is not a text that names its user", f"{name} 不是有效的用户标识")
    try:
        check_id(value)
    except ValidationFailed:
        raise refused(f"{name} cannot be the id of a user", f"{name} 不能用作用户标识") from None
    return value


def _scopes(claims: dict[str, Any]) -> frozenset[Scope]:
    """Those of `scope` (RFC 8693, 4.2) or else of the list `scopes` that mean something here; all that a user may have
    where there is neither."""
    name = "scope" if "scope" in claims else "scopes"
    given = claims.get(name, " ".join(USER_SCOPES))
    names = given.split(" ") if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise refused(f"{name} is no list of scopes", f"{name} 不是权限列表")
    return frozenset(Scope(each) for each in names if each in list(Scope))
