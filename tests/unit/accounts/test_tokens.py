"""Tokens of the world as it is: good, expired, forged, confused, broken."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer import AUDIENCE, ISSUER, NOW, SECRET, claims, ec_key, hs256, published, rsa_key, segment
from magic_eraser.accounts.principal import USER_SCOPES, Scope
from magic_eraser.accounts.tokens import jws, tokens
from magic_eraser.accounts.tokens.jwks import Jwks
from magic_eraser.accounts.tokens.tokens import TokenIdentity, Tokens
from magic_eraser.errors import InvalidToken, SettingsError, TokenExpired, ValidationFailed
from magic_eraser.settings import AuthSettings

URL = "https://id.example/keys"
SECRET_ONLY = AuthSettings(mode="required", jwt_secret=SECRET, issuer=ISSUER, audience=AUDIENCE)
BOTH = SECRET_ONLY.model_copy(update={"jwks_url": URL})
KEYS_ONLY = AuthSettings(mode="required", jwks_url=URL, issuer=ISSUER, audience=AUDIENCE)


def judge(token: str, auth: AuthSettings = SECRET_ONLY, *keys: Any) -> TokenIdentity | None:
    jwks = Jwks(URL, transport=published(*keys or (rsa_key(), ec_key()))) if auth.jwks_url else None
    return asyncio.run(Tokens(auth, jwks=jwks, clock=lambda: NOW)(token))


def refusal(token: str, auth: AuthSettings = SECRET_ONLY, *keys: Any) -> str:
    with pytest.raises(InvalidToken) as caught:
        judge(token, auth, *keys)
    error = caught.value
    assert type(error) is InvalidToken
    assert error.detail_zh.startswith("令牌无效：")
    said = error.sentence() + error.sentence("zh")
    assert SECRET not in said
    assert token not in said
    return error.detail


# --- good ones ------------------------------------------------------------------------------------------


def test_a_token_by_the_secret_names_its_user():
    assert judge(hs256()) == TokenIdentity("alice", "token", USER_SCOPES, issued_at=NOW - 60)


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=lambda key: key.algorithm)
@pytest.mark.parametrize("auth", [KEYS_ONLY, BOTH], ids=["keys", "both"])
def test_a_token_by_a_key_of_the_issuer_names_its_user(key, auth):
    assert judge(key.token(), auth).user_id == "alice"


def test_with_both_the_secret_counts_for_its_own_algorithm():
    assert judge(hs256(), BOTH).user_id == "alice"


@pytest.mark.parametrize("type_", ["JWT", "jwt", "at+jwt", None])
def test_types_of_access_tokens_are_taken(type_):
    headers = {"typ": type_} if type_ else {"typ": ""}
    assert judge(hs256(headers=headers)).user_id == "alice"


def test_keys_that_the_token_brings_along_are_not_looked_at():
    headers = {"jku": "https://evil.example/", "x5u": "https://evil.example/", "jwk": ec_key("other").jwk()}
    assert judge(hs256(headers=headers)).user_id == "alice"


def test_user_id_goes_before_sub():
    assert judge(hs256(user_id="bob@example.com")).user_id == "bob@example.com"


def test_what_is_no_token_is_for_others_to_judge():
    for text in ("", "eras_live_" + "a" * 43, "one.dot", "x" * 100_000):
        assert judge(text) is None


def test_plan_and_role_in_a_token_mean_nothing():
    identity = judge(hs256(plan="enterprise", role="admin", admin=True, roles=["admin"]))
    assert identity == TokenIdentity("alice", "token", USER_SCOPES, issued_at=NOW - 60)


@pytest.mark.parametrize(
    ("named", "scopes"),
    [
        ({"scope": "erase jobs"}, {Scope.ERASE, Scope.JOBS}),
        ({"scope": "openid erase profile"}, {Scope.ERASE}),
        ({"scope": "openid"}, set()),
        ({"scope": ""}, set()),
        ({"scope": "erase admin"}, {Scope.ERASE, Scope.ADMIN}),
        ({"scopes": ["erase", "account:read"]}, {Scope.ERASE, Scope.ACCOUNT_READ}),
        ({"scope": "jobs", "scopes": ["admin"]}, {Scope.JOBS}),
    ],
)
def test_scopes_are_those_that_it_names(named, scopes):
    assert judge(hs256(**named)).scopes == scopes


@pytest.mark.parametrize("given", [{"scope": 7}, {"scope": None}, {"scopes": {"erase": 1}}, {"scopes": [1]}])
def test_scopes_of_another_shape_are_refused(given):
    assert "is no list of scopes" in refusal(hs256(**given))


# --- times ----------------------------------------------------------------------------------------------


def test_an_expired_token_says_so():
    with pytest.raises(TokenExpired) as caught:
        judge(hs256(exp=NOW - 31))
    assert caught.value.code == "token_expired"


@pytest.mark.parametrize(
    "changes", [{"exp": NOW - 29}, {"iat": NOW + 30}, {"nbf": NOW + 30}, {"iat": NOW + 0.5}]
)
def test_clocks_may_differ_by_the_leeway(changes):
    assert judge(hs256(**changes)) is not None


@pytest.mark.parametrize("changes", [{"iat": NOW + 31}, {"nbf": NOW + 31}, {"iat": NOW + 10**9}])
def test_a_token_of_the_future_is_not_good_yet(changes):
    assert "not good yet" in refusal(hs256(**changes))


def test_without_a_leeway_there_is_none():
    strict = SECRET_ONLY.model_copy(update={"leeway_seconds": 0})
    assert judge(hs256(exp=NOW + 1, iat=NOW), strict) is not None
    with pytest.raises(TokenExpired):
        judge(hs256(exp=NOW), strict)
    refusal(hs256(iat=NOW + 1), strict)


def test_a_token_must_end_and_need_not_say_when_it_began():
    """Those of the deployment guide have `user_id` and `exp` alone."""
    assert "(exp)" in refusal(hs256(exp=...))
    assert judge(hs256(iat=...)).issued_at is None


@pytest.mark.parametrize("moment", ["1800000000", None, True, -1, 2**60, 10**300, [1], {}])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_a_moment_is_a_number(name, moment):
    body = segment(claims(**{name: moment}))
    assert f"{name} is no moment" in refusal(signed(segment({"alg": "HS256"}), body))


# --- whom it is meant for -------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["https://id.example", "https://evil.example/", None, [ISSUER], ...])
def test_another_issuer_is_refused(issuer):
    assert "(iss)" in refusal(signed(segment({"alg": "HS256"}), segment(claims(iss=issuer))))


@pytest.mark.parametrize(
    "audience", ["other", "magic-eraser-2", None, ..., [], ["other"], [AUDIENCE, "other"], {AUDIENCE: 1}]
)
def test_another_audience_is_refused(audience):
    assert "(aud)" in refusal(signed(segment({"alg": "HS256"}), segment(claims(aud=audience))))


def test_an_audience_of_one_is_the_same_as_a_list_of_it():
    assert judge(hs256(aud=[AUDIENCE])) is not None


def test_without_an_audience_of_ours_a_token_for_somebody_is_not_for_us():
    open_ = AuthSettings(mode="required", jwt_secret=SECRET)
    assert judge(hs256(iss=..., aud=...), open_) is not None
    assert "(aud)" in refusal(hs256(iss=...), open_)


@pytest.mark.parametrize("name", ["user_id", "sub"])
@pytest.mark.parametrize(
    "value",
    [42, None, True, ["alice"], {"id": 1}, "", "local", "anonymous@1.2.3.4", "a b", "a/b", "a" * 101, "爱"],
)
def test_a_user_that_cannot_be_one_is_refused(name, value):
    assert name in refusal(signed(segment({"alg": "HS256"}), segment(claims(**{name: value}))))


def test_a_token_without_a_user_is_refused():
    assert "sub" in refusal(hs256(sub=...))


# --- signatures -----------------------------------------------------------------------------------------


def signed(head: str, body: str, secret: bytes = SECRET.encode()) -> str:
    return f"{head}.{body}.{segment(jws._digest(f'{head}.{body}'.encode(), secret))}"


@pytest.mark.parametrize(
    "none", ["none", "None", "NONE", "nOnE", "", "hs256", "HS256 ", "HS512", "PS256", "EdDSA"]
)
@pytest.mark.parametrize("auth", [SECRET_ONLY, KEYS_ONLY, BOTH], ids=["secret", "keys", "both"])
def test_no_other_algorithm_counts(none, auth):
    head, body = segment({"alg": none, "typ": "JWT"}), segment(claims())
    for token in (f"{head}.{body}.", signed(head, body)):
        assert "not signed in a way that counts" in refusal(token, auth)


@pytest.mark.parametrize("head", [{}, {"alg": None}, {"alg": ["HS256"]}, {"alg": 256}])
def test_a_token_names_its_algorithm(head):
    assert "names no algorithm" in refusal(signed(segment(head), segment(claims())))


def test_another_secret_is_refused():
    assert "signature is wrong" in refusal(hs256("another secret, that is as long as the first one"))


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=lambda key: key.algorithm)
@pytest.mark.parametrize("auth", [KEYS_ONLY, BOTH], ids=["keys", "both"])
def test_a_public_key_is_no_secret(key, auth):
    """The confusion of HS and RS (CVE-2015-9235 and its kin): what everybody may read must not sign."""
    forms = (key.pem(), key.pem().strip(), jwt.PyJWK(key.jwk()).key.public_numbers().__repr__().encode())
    published_forms = (str(key.jwk()).encode(), segment(key.jwk()).encode(), key.jwk().get("n", "").encode())
    head, body = segment({"alg": "HS256", "kid": key.key_id}), segment(claims())
    for secret in (*forms, *published_forms, b""):
        refusal(signed(head, body, secret), auth)


def test_a_secret_that_the_issuer_publishes_signs_nothing():
    known = {"kty": "oct", "kid": "shared", "k": segment(b"k" * 32), "alg": "HS256"}
    token = signed(segment({"alg": "HS256", "kid": "shared"}), segment(claims()), b"k" * 32)
    assert "not signed in a way that counts" in refusal(token, KEYS_ONLY, known)
    assert "signature is wrong" in refusal(token, BOTH, known)


def test_a_key_is_good_for_its_own_algorithm_only():
    rsa, ec = rsa_key(), ec_key()
    for key, other in ((rsa, ec), (ec, rsa)):
        body = segment(claims())
        head = segment({"alg": key.algorithm, "kid": other.key_id})
        token = f"{head}.{body}.{segment(b'x' * 64)}"
        assert "does not publish the key" in refusal(token, KEYS_ONLY)
        mixed = jwt.encode(claims(), key.private, key.algorithm, headers={"kid": other.key_id})
        assert "does not publish the key" in refusal(mixed, KEYS_ONLY)


def test_an_unknown_key_is_refused():
    assert "does not publish the key" in refusal(rsa_key("rsa-9").token(), KEYS_ONLY)


def test_another_key_by_the_right_name_is_refused():
    impostor = rsa_key("impostor")
    token = jwt.encode(claims(), impostor.private, "RS256", headers={"kid": "rsa-1"})
    assert "signature is wrong" in refusal(token, KEYS_ONLY)
    forged = jwt.encode(claims(), ec_key("impostor").private, "ES256", headers={"kid": "ec-1"})
    assert "signature is wrong" in refusal(forged, KEYS_ONLY)


@pytest.mark.parametrize("signature", [b"", b"\0" * 64, b"\xff" * 64, b"\0" * 256, b"\0"])
@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=lambda key: key.algorithm)
def test_signatures_of_nothing_are_refused(key, signature):
    """All zeros were good for ECDSA once (CVE-2022-21449)."""
    head, body = segment({"alg": key.algorithm, "kid": key.key_id}), segment(claims())
    assert "signature is wrong" in refusal(f"{head}.{body}.{segment(signature)}", KEYS_ONLY)


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": None},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": 0},
    ],
)
def test_extensions_are_refused(header):
    assert "extensions" in refusal(signed(segment({"alg": "HS256", **header}), segment(claims())))


@pytest.mark.parametrize("type_", ["dpop+jwt", "logout+jwt", "secevent+jwt", "JWE", "", None, 7, ["JWT"]])
def test_tokens_of_other_types_are_refused(type_):
    assert "another type" in refusal(signed(segment({"alg": "HS256", "typ": type_}), segment(claims())))


def test_a_server_without_secret_and_keys_takes_no_tokens():
    assert "takes keys only" in refusal(hs256(), AuthSettings(mode="required"))
    assert "takes keys only" in refusal(f"{segment({'alg': 'none'})}.{segment(claims())}.", AuthSettings())


# --- broken ones ----------------------------------------------------------------------------------------


def test_every_single_change_breaks_it():
    token = hs256()
    for place, sign in enumerate(token):
        other = "A" if sign != "A" else "B"
        changed = token[:place] + other + token[place + 1 :]
        if sign == ".":
            assert judge(changed) is None  # it is no token any more
        else:
            refusal(changed)


@pytest.mark.parametrize("end", ["=", "==", " ", "\n", ".", ".x", "A"])
def test_nothing_may_stand_behind_it(end):
    refusal(hs256() + end)


def test_a_signature_is_written_in_one_way():
    token = hs256()
    last = token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    near = alphabet[alphabet.index(last) ^ 1]  # differs in bits that say nothing
    assert "not copied whole" in refusal(token[:-1] + near)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b'"text"', b"{", b"\xff\xfe", b'{"exp": NaN}', b'{"exp": Infinity}',
        b'{"sub": "alice", "sub": "bob"}', b"[" * 3000, b'{"a":' * 1000, b"1" * 5000, b"\xef\xbb\xbf{}",
    ],
)  # fmt: skip
def test_a_payload_that_is_no_object_is_refused(body):
    assert "none" in refusal(signed(segment({"alg": "HS256"}), segment(body)))


def test_a_header_that_has_a_name_twice_is_refused():
    head = segment(b'{"alg": "none", "alg": "HS256"}')
    assert "not copied whole" in refusal(signed(head, segment(claims())))


def test_size_has_a_limit():
    assert judge(hs256(note="x" * 5000)) is not None
    assert "more than 8192 bytes" in refusal(hs256(note="x" * 7000))
    assert "more than 8192 bytes" in refusal("." * 1_000_000)


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize("letter", ["\xe9", "\xff", "\u5bc6", "\x00", "\U0001f600", "+", "=", " "])
def test_letters_that_base64url_does_not_have_are_refused_wherever_they_stand(part, letter):
    parts = hs256().split(".")
    parts[part] = parts[part][:3] + letter + parts[part][3:]
    assert "not copied whole" in refusal(".".join(parts))


@given(
    st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_.-]{0,20}")
)
def test_no_text_does_anything_else_than_to_be_refused(text):
    if text.count(".") < 2:
        assert judge(text) is None
    else:
        refusal(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["exp", "iat", "nbf", "iss", "aud", "sub", "user_id", "scope", "scopes", "jti"])


@given(st.dictionaries(names, json_values, max_size=4))
def test_no_claims_do_anything_else_than_to_be_judged(changes):
    token = signed(segment({"alg": "HS256"}), segment(claims(**changes)))
    try:
        identity = judge(token)
    except (InvalidToken, TokenExpired):
        return
    assert identity.scopes <= set(Scope)
    assert identity.user_id == changes.get("user_id", changes.get("sub", "alice"))


# --- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["short", "x" * 31])
def test_a_secret_has_32_bytes(secret):
    with pytest.raises(SettingsError, match="ERASER_AUTH__JWT_SECRET has") as caught:
        Tokens(AuthSettings(jwt_secret=secret))
    assert secret not in str(caught.value)


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=lambda key: key.algorithm)
def test_a_public_key_cannot_be_set_as_the_secret(key):
    for text in (key.pem().decode(), f"\n{key.pem().decode()}", str(key.jwk()), "ssh-rsa " + "A" * 300):
        with pytest.raises(SettingsError, match="is a key"):
            Tokens(AuthSettings(jwt_secret=text))


@pytest.mark.parametrize("missing", ["issuer", "audience"])
def test_keys_of_an_issuer_need_issuer_and_audience(missing):
    with pytest.raises(SettingsError, match=f"needs ERASER_AUTH__{missing.upper()}"):
        Tokens(KEYS_ONLY.model_copy(update={missing: ""}))


def test_cryptography_is_not_loaded_without_an_issuer():
    code = (
        "import asyncio, sys\n"
        "from magic_eraser.accounts import sign_in\n"
        "from magic_eraser.accounts.tokens import tokens\n"
        "from magic_eraser.settings import AuthSettings\n"
        f"auth = AuthSettings(jwt_secret={SECRET!r})\n"
        "token, _ = tokens.issue(auth, 'alice', at=1e9)\n"
        "found = asyncio.run(tokens.Tokens(auth, clock=lambda: 1e9)(token))\n"
        "assert found.user_id == 'alice'\n"
        "loaded = {'cryptography', 'jwt', 'httpx2'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- made here ------------------------------------------------------------------------------------------


def test_a_token_made_here_is_good_here_and_for_pyjwt():
    token, made = tokens.issue(SECRET_ONLY, "alice", at=NOW - 0.25, seconds=90)
    identity = judge(token)
    assert identity == TokenIdentity("alice", "token", USER_SCOPES, issued_at=NOW - 0.25)
    options = {
        "verify_exp": False,
        "verify_iat": False,
        "require": ["exp", "iat", "jti", "iss", "aud", "sub"],
    }
    read = jwt.decode(token, SECRET, ["HS256"], issuer=ISSUER, audience=AUDIENCE, options=options)
    assert read == made
    assert read["exp"] == NOW + 89
    assert read["scope"] == "account account:read erase jobs"


def test_a_token_made_here_carries_no_more_than_is_configured():
    _token, made = tokens.issue(AuthSettings(jwt_secret=SECRET), "alice", at=NOW, scopes=[Scope.ERASE])
    assert made.keys() == {"sub", "iat", "exp", "jti", "scope"}
    assert made["exp"] == NOW + 3600
    assert made["scope"] == "erase"


def test_tokens_made_here_differ():
    assert tokens.issue(SECRET_ONLY, "alice", at=NOW)[0] != tokens.issue(SECRET_ONLY, "alice", at=NOW)[0]


@pytest.mark.parametrize("seconds", [0, 59, -5, 366 * 86_400 + 1])
def test_tokens_made_here_live_for_a_while(seconds):
    with pytest.raises(ValidationFailed, match="60 to 31622400"):
        tokens.issue(SECRET_ONLY, "alice", at=NOW, seconds=seconds)


def test_tokens_made_here_need_scopes_and_a_secret():
    with pytest.raises(ValidationFailed, match="a scope at least"):
        tokens.issue(SECRET_ONLY, "alice", at=NOW, scopes=[])
    with pytest.raises(SettingsError, match="Set ERASER_AUTH__JWT_SECRET first"):
        tokens.issue(KEYS_ONLY, "alice", at=NOW)
