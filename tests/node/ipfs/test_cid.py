"""CIDs as text, bytes and words on chain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.ipfs import DAG_PB, RAW, Cid, InvalidCid
from covey.ipfs.cid import Identity, parse_identity

EMPTY_FILE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"


@given(st.binary(min_size=32, max_size=32), st.sampled_from([RAW, DAG_PB]))
def test_text_and_bytes_round_trip(digest: bytes, codec: int) -> None:
    cid = Cid(codec, digest)
    assert Cid.parse(str(cid)) == cid
    assert Cid.parse(f"ipfs://{cid}") == cid
    assert Cid.from_bytes(cid.to_bytes()) == cid


@given(st.binary(min_size=32, max_size=32))
def test_word_on_chain_is_a_directory(digest: bytes) -> None:
    cid = Cid.directory(digest)
    assert cid.codec == DAG_PB
    assert cid.word == digest
    assert Cid.directory("0x" + digest.hex()) == cid


def test_known_cid_of_an_empty_file() -> None:
    assert str(Cid.of(b"", RAW)) == EMPTY_FILE
    assert Cid.parse(EMPTY_FILE).matches(b"")
    assert not Cid.parse(EMPTY_FILE).matches(b"\0")


def test_a_bare_file_has_no_word() -> None:
    with pytest.raises(InvalidCid, match="wrap the file"):
        _ = Cid.of(b"x", RAW).word


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a CIDv1"),
        (
            "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
            "CIDv0: write bafybeie5nqv6kd3qnfjupgvz34woh3oksc3iau6abmyajn7qvtf6d2ho34,",
        ),
        ("ipfs://QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "CIDv0: write bafybeie5nqv6"),
        ("Qm0wAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "'0' is not a character of base58"),
        ("Qm" + "z" * 44, "not the base58 of a sha2-256 digest"),
        (EMPTY_FILE[:-1], "not a CIDv1"),
        (EMPTY_FILE.upper(), "not a CIDv1"),
        ("b" + "1" * 58, "not base32"),
        (EMPTY_FILE[:-1] + "v", "canonical"),  # stray bits after the last byte
        ("b" + "a" * 58, "not a CIDv1 with"),
        ("bafyreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"[:59], "codec 0x71"),  # dag-cbor
        ("z" + EMPTY_FILE[1:], "not a CIDv1"),
    ],
)
def test_bad_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidCid, match=reason):
        Cid.parse(text)


@pytest.mark.parametrize("raw", [b"", bytes(36), b"\x01\x70\x12\x20" + bytes(31), b"\x01\x70\x12\x20" + bytes(33)])
def test_bad_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidCid):
        Cid.from_bytes(raw)


@pytest.mark.parametrize("digest", [b"", bytes(31), "0x00", "zz", "0x" + "g" * 64])
def test_bad_word_is_refused(digest: bytes | str) -> None:
    with pytest.raises(InvalidCid):
        Cid.directory(digest)


@given(st.binary(max_size=127), st.sampled_from([RAW, DAG_PB]))
def test_identity_cids_round_trip(content: bytes, codec: int) -> None:
    identity = Identity(codec, content)
    assert parse_identity(str(identity)) == identity
    with pytest.raises(InvalidCid):
        Cid.parse(str(identity))


@pytest.mark.parametrize(
    "text", ["", "b", "bafkqaab", "bafkqaa", "BAFKQAAA", "zafkqaaa", EMPTY_FILE, str(Identity(RAW, bytes(127))) + "a"]
)
def test_other_text_is_no_identity_cid(text: str) -> None:
    assert parse_identity(text) is None
