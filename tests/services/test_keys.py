"""Identities against published vectors and other programs, and every key that must be refused."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl import bindings

from services.errors import CurveKeyError, IdentityError, NodeIdError, SealError, SignatureError
from services.keys import (
    Identity,
    Issuer,
    NodeId,
    new_seed,
    read_curve_key,
    read_node_id,
    seal,
    session_key,
    verify,
    wireguard_text,
)
from services.secrecy import Secret

SEEDS = st.binary(min_size=32, max_size=32)

RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "9e0767eb96275840acd6268522bf055c29cbdfd16045afd43d5c0ec58d82bf73",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "a5f12d0dbdc3482623ea5efaef76f470dcdc8da865c7e93f2cd8791fc9303c0a",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "4ebbc35dd87bbd5847b7a6e1a295b909382420bfc14cfd7cc093c54dcfb31904",
    ),
]
"""Seed and public key of section 7.1, and our link key of that seed."""

ODD_SEED = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42"
ODD_KEY = "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"
"""Section 7.1 too; this public key has its sign bit set."""

SMALL_ORDER_ED25519 = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]
NOT_CANONICAL_ED25519 = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
SMALL_ORDER_X25519 = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]
NOT_CANONICAL_X25519 = [
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0900000000000000000000000000000000000000000000000000000000000080",
]


def identity(seed: str = RFC_8032[0][0]) -> Identity:
    return Identity(Secret(bytes.fromhex(seed)))


# from a seed


@pytest.mark.parametrize(("seed", "public", "link"), RFC_8032)
def test_published_seeds_give_their_keys(seed: str, public: str, link: str) -> None:
    assert identity(seed).node_id == public
    assert identity(seed).link_key.hex() == link


def test_libsodium_s_own_vector_of_the_conversion() -> None:
    found = identity("421151a459faeade3d247115f94aedae42318124095afabe4d1451a559faedee")
    assert found.node_id == "b5076a8474a832daee4dd5b4040983b6623b5f344aca57d4d6ee4baf3f259e6e"
    assert found.session_key.hex() == "f1814f0e8ff1043d8a44d25babff3cedcae6c22c3edaa48f857ae70de2baae50"
    secret = "8052030376d47112be7f73ed7a019293dd12ad910b654455798b4667d73de166"
    assert found.session_secret() == Secret(bytes.fromhex(secret))


@given(SEEDS)
def test_every_seed_gives_one_sound_identity(seed: bytes) -> None:
    one, other = Identity(Secret(seed)), Identity(Secret(seed))
    assert (one.node_id, one.link_key) == (other.node_id, other.link_key)
    assert read_node_id(one.node_id) == one.node_id
    assert session_key(one.node_id) == one.session_key
    for private, public in ((one.session_secret(), one.session_key), (one.link_secret(), one.link_key)):
        assert bindings.crypto_scalarmult_base(private.reveal()) == public
        assert read_curve_key(wireguard_text(public)) == public
        first, last = private.reveal()[0], private.reveal()[-1]
        assert (first & 7, last & 0xC0) == (0, 0x40), "WireGuard would change it, and show another public key"
    assert one.link_key != one.session_key


@given(SEEDS)
def test_the_conversion_is_the_formula_s(seed: bytes) -> None:
    prime = 2**255 - 19
    public = Identity(Secret(seed))
    y = int.from_bytes(bytes.fromhex(public.node_id), "little")
    assert int.from_bytes(public.session_key, "little") == (1 + y) * pow(1 - y, -1, prime) % prime


@pytest.mark.skipif(shutil.which("wg") is None, reason="needs WireGuard's tools")
def test_wireguard_agrees_about_the_public_keys() -> None:
    found = identity()
    for private, public in ((found.session_secret(), found.session_key), (found.link_secret(), found.link_key)):
        text = wireguard_text(private.reveal())
        told = subprocess.run(["wg", "pubkey"], input=text, capture_output=True, text=True, timeout=30, check=True)
        assert told.stdout.strip() == wireguard_text(public)


def test_a_new_seed_is_the_ed25519_seed_of_its_node_id() -> None:
    seeds = [new_seed() for _ in range(32)]
    for seed in seeds:
        assert bindings.crypto_sign_seed_keypair(seed.reveal())[0].hex() == Identity(seed).node_id
    assert len({seed.reveal() for seed in seeds}) == len(seeds)


def test_two_ids_never_share_a_session_key() -> None:
    even = bytes.fromhex(ODD_KEY)[:-1] + bytes([bytes.fromhex(ODD_KEY)[-1] & 0x7F])
    of_both = [bindings.crypto_sign_ed25519_pk_to_curve25519(key) for key in (even, bytes.fromhex(ODD_KEY))]
    assert of_both[0] == of_both[1], "the reason for the rule"
    assert read_node_id(even.hex())
    with pytest.raises(NodeIdError, match="sign bit"):
        read_node_id(ODD_KEY)
    assert identity(ODD_SEED).node_id == "6bd8d5cb73ee8879c517707455f76ed8cde2fe3891b8209994a363b34e4ff901"
    assert identity(ODD_SEED).link_key.hex() == "86e86914a06b222ebb4fd61240218242b0968165a15fa2c343840168b29d8b29"


def test_a_wiped_identity_signs_no_more() -> None:
    gone = identity()
    gone.wipe()
    for use in (gone.session_secret, gone.link_secret, lambda: gone.sign("test", b"")):
        with pytest.raises(ValueError, match="wiped"):
            use()


# node ids


@pytest.mark.parametrize("text", [*SMALL_ORDER_ED25519, *NOT_CANONICAL_ED25519, "02" + "00" * 31])
def test_keys_that_nobody_can_have_are_refused(text: str) -> None:
    with pytest.raises(NodeIdError, match=text):
        read_node_id(text)
    with pytest.raises(NodeIdError):
        session_key(NodeId(text))


def test_a_key_outside_the_main_subgroup_is_refused() -> None:
    of_eight = bytes.fromhex(SMALL_ORDER_ED25519[3])
    mixed = bindings.crypto_core_ed25519_add(bytes.fromhex(RFC_8032[0][1]), of_eight)
    assert not mixed[-1] & 0x80, "choose another vector: this one is refused for its sign"
    with pytest.raises(NodeIdError, match="no key pair"):
        read_node_id(mixed.hex())


@pytest.mark.parametrize(
    "text",
    ["", "ab", RFC_8032[0][1].upper(), RFC_8032[0][1] + "\n", " " + RFC_8032[0][1], "x" * 64, "0" * 10**6, "٣" * 64],
)
def test_other_text_is_no_node_id(text: str) -> None:
    with pytest.raises(NodeIdError, match="not a node id: expected 64 digits") as caught:
        read_node_id(text)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@given(st.text() | st.binary(min_size=32, max_size=32).map(bytes.hex))
def test_whatever_is_read_as_a_node_id_has_a_session_key(text: str) -> None:
    try:
        node_id = read_node_id(text)
    except NodeIdError:
        return
    assert read_curve_key(wireguard_text(session_key(node_id))) == session_key(node_id)


# WireGuard's keys


@pytest.mark.parametrize("key", [*SMALL_ORDER_X25519, *NOT_CANONICAL_X25519])
def test_public_keys_without_a_secret_are_refused(key: str) -> None:
    with pytest.raises(CurveKeyError, match="refused"):
        read_curve_key(wireguard_text(bytes.fromhex(key)))


def test_other_text_is_no_wireguard_key() -> None:
    good = wireguard_text(identity().link_key)
    slack = good[:-2] + chr(ord(good[-2]) + 1) + "="  # other bits that decode to nothing
    for text in ("", good[:-1], good + "=", good + "\n", good.replace("=", "A"), slack, "é" * 44, "A" * 10**6):
        with pytest.raises(CurveKeyError, match="expected 44"):
            read_curve_key(text)


@given(st.text(alphabet="ABCDwxyz0189+/=\n", max_size=50) | SEEDS.map(wireguard_text) | st.text())
def test_a_wireguard_key_is_written_as_it_was_read(text: str) -> None:
    try:
        key = read_curve_key(text)
    except IdentityError:
        return
    assert wireguard_text(key) == text


# signatures


def test_a_signature_holds_for_its_text_purpose_and_node_alone() -> None:
    signer, other = identity(), identity(RFC_8032[1][0])
    signature = signer.sign("record", b"text")
    verify(signer.node_id, "record", b"text", signature)
    for node_id, purpose, message, told in [
        (other.node_id, "record", b"text", signature),
        (signer.node_id, "command", b"text", signature),
        (signer.node_id, "record", b"texT", signature),
        (signer.node_id, "record", b"text", bytes(64)),
        (signer.node_id, "record", b"text", signature[:-1]),
        (signer.node_id, "record", b"text", signature + b"\0"),
        (signer.node_id, "record", b"", b""),
    ]:
        with pytest.raises(SignatureError):
            verify(node_id, purpose, message, told)
    with pytest.raises(NodeIdError):
        verify(NodeId(SMALL_ORDER_ED25519[0]), "record", b"text", signature)


@pytest.mark.parametrize("purpose", ["", "a\0b"])
def test_a_purpose_cannot_run_into_the_text(purpose: str) -> None:
    with pytest.raises(ValueError, match="purpose"):
        identity().sign(purpose, b"text")


@given(SEEDS, st.binary(), st.binary(max_size=80))
def test_only_the_signer_s_bytes_verify(seed: bytes, message: bytes, junk: bytes) -> None:
    signer = Identity(Secret(seed))
    verify(signer.node_id, "test", message, signer.sign("test", message))
    with pytest.raises(SignatureError):
        verify(signer.node_id, "test", message, junk)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_verifies_what_we_sign(tmp_path: Path) -> None:
    signer = identity()
    (tmp_path / "key").write_bytes(bytes.fromhex("302a300506032b6570032100" + signer.node_id))
    (tmp_path / "text").write_bytes(b"record\0text")
    (tmp_path / "signature").write_bytes(signer.sign("record", b"text"))
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key", "-rawin", "-in", "text"]
    words += ["-sigfile", "signature"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "text").write_bytes(b"record\0texT")
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=60, check=False).returncode != 0


# sealing, nonces, issuers


@given(st.binary(max_size=200))
def test_only_the_node_it_is_for_opens_a_seal(message: bytes) -> None:
    sealed = seal(identity().node_id, message)
    assert message not in sealed or len(message) < 4
    assert identity().unseal(sealed) == message
    with pytest.raises(SealError, match="not sealed for node"):
        identity(RFC_8032[1][0]).unseal(sealed)
    with pytest.raises(SealError):
        identity().unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]))


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(47), bytes(48), bytes(4096)])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealError, match=f"{len(sealed)} bytes"):
        identity().unseal(sealed)


def test_a_nonce_s_signature_is_plain_ed25519() -> None:
    signature = identity().sign_nonce(b"tAPYNa_-3pc3TEs")
    assert bindings.crypto_sign_open(signature + b"tAPYNa_-3pc3TEs", bytes.fromhex(identity().node_id))


@pytest.mark.parametrize("nonce", [b"", b"short", b"skywire order\0{}", b"a" * 65, b"has space in", b"line\nlines"])
def test_what_is_no_nonce_is_not_signed(nonce: bytes) -> None:
    with pytest.raises(SignatureError, match="not a nonce"):
        identity().sign_nonce(nonce)


def test_issuers_of_one_secret_differ_by_their_use() -> None:
    secret = Secret(bytes(range(32)))
    one, other = Issuer(secret, b"one"), Issuer(secret, b"other")
    assert one.public != other.public
    assert one.public == Issuer(secret, b"one").public
    assert bindings.crypto_sign_open(one.sign(b"text") + b"text", one.public) == b"text"
    assert bytes(range(32)).hex() not in repr(one)
