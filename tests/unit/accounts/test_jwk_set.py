"""Which of the keys that an issuer publishes count, and for what."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from issuer import SigningKey, ec_key, key_set, rsa_key
from magic_eraser.accounts.tokens.jwk_set import MOST_KEYS, read


def test_keys_are_found_by_algorithm_and_name():
    keys = read(key_set(rsa_key(), ec_key(), rsa_key("rsa-2")))

    assert [(key.algorithm, key.key_id) for key in keys.keys] == [
        ("RS256", "rsa-1"), ("ES256", "ec-1"), ("RS256", "rsa-2"),
    ]  # fmt: skip
    assert keys.find("RS256", "rsa-2") is keys.keys[2]
    assert keys.find("ES256", "rsa-2") is None
    assert keys.find("HS256", "rsa-1") is None
    assert keys.find("RS256", "") is None


def test_without_a_name_the_only_key_of_the_algorithm_is_meant():
    keys = read(key_set(rsa_key(), ec_key(), rsa_key("rsa-2")))
    assert keys.find("ES256", None).key_id == "ec-1"
    assert keys.find("RS256", None) is None


def test_keys_without_a_name_are_for_tokens_without_one():
    keys = read(key_set(rsa_key(None)))
    assert keys.find("RS256", None) is not None
    assert keys.find("RS256", "rsa-1") is None


def test_the_same_name_may_stand_for_two_algorithms():
    keys = read(key_set(rsa_key("same"), ec_key("same")))
    assert keys.find("RS256", "same").algorithm == "RS256"
    assert keys.find("ES256", "same").algorithm == "ES256"


@pytest.mark.parametrize("left_out", ["alg", "use", "kid"])
def test_members_that_may_be_left_out(left_out):
    assert len(read(key_set(rsa_key().jwk(**{left_out: None}))).keys) == 1


@pytest.mark.parametrize(
    "jwk",
    [
        rsa_key().jwk(use="enc"),
        rsa_key().jwk(alg="RS512"),
        rsa_key().jwk(alg="PS256"),
        rsa_key().jwk(alg="HS256"),
        rsa_key().jwk(alg="ES256"),
        rsa_key().jwk(key_ops=["encrypt"]),
        rsa_key().jwk(key_ops="verify"),
        rsa_key().jwk(kid=7),
        rsa_key().jwk(n=None),
        rsa_key().jwk(n=7),
        rsa_key().jwk(n="!!"),
        rsa_key().jwk(n=""),
        rsa_key().jwk(n="A" * 200_000),
        rsa_key().jwk(e="AA"),
        rsa_key().jwk(kty=["RSA"]),
        rsa_key().jwk(kty="EC"),
        ec_key().jwk(kty="RSA"),
        ec_key().jwk(crv="P-384"),
        ec_key().jwk(crv=None),
        ec_key().jwk(x="AAAA"),
        ec_key().jwk(y=ec_key("other").jwk()["y"]),
        {"kty": "oct", "k": "a" * 43, "kid": "rsa-1", "alg": "HS256"},
        {"kty": "OKP", "crv": "Ed25519", "x": "a" * 43},
        {},
    ],
)
def test_keys_of_no_use_are_passed_over_and_spoil_no_others(jwk):
    keys = read(key_set(jwk, ec_key("good")))
    assert [key.key_id for key in keys.keys] == ["good"]


def test_keys_that_are_not_public_are_passed_over():
    for key, kind in ((rsa_key(), RSAAlgorithm), (ec_key(), ECAlgorithm)):
        private = {**kind.to_jwk(key.private, as_dict=True), "kid": "leaked"}
        private.pop("key_ops", None)
        assert read(key_set(private)).keys == ()
        private.pop("d")
        assert [key.key_id for key in read(key_set(private)).keys] == ["leaked"]


def test_weak_keys_are_passed_over():
    assert read(key_set(rsa_key("weak", 1024))).keys == ()
    other_curve = SigningKey("ES256", "k", ec.generate_private_key(ec.SECP256K1()))
    assert read(key_set(other_curve.jwk())).keys == ()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no JSON"), (b"<html>", "no JSON"), (b"\xff\xfe\x00", "no JSON"), (b"[" * 100_000, "no JSON"),
        (b"[]", "no set of keys"), (b"null", "no set of keys"), (b"{}", "no set of keys"),
        (b'{"keys": {}}', "no set of keys"), (b'{"keys": null}', "no set of keys"),
    ],
)  # fmt: skip
def test_what_is_no_set_of_keys_is_refused(body, reason):
    with pytest.raises(ValueError, match=reason):
        read(body)


def test_a_set_has_a_limit():
    assert len(read(key_set(*[ec_key().jwk()] * MOST_KEYS)).keys) == MOST_KEYS
    with pytest.raises(ValueError, match="more than 100 keys"):
        read(key_set(*[ec_key().jwk()] * (MOST_KEYS + 1)))


members = st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "n", "e", "x", "y", "crv", "d", "x5c"])
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=50)
    | st.lists(st.text(max_size=5), max_size=2)
)


@given(st.lists(st.dictionaries(members, values) | values, max_size=4), st.sampled_from(["RSA", "EC"]))
def test_no_key_breaks_the_reading(listed, kind):
    changed = [
        (rsa_key() if kind == "RSA" else ec_key()).jwk() | each for each in listed if isinstance(each, dict)
    ]
    read(json.dumps({"keys": [*listed, *changed]}).encode())
