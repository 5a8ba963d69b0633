"""Commitments: hashes that bind a choice before it is revealed.

Each preimage includes the chain, the contract, the task and the operator, which prevents replaying or copying another
operator's commitment, and a 32-byte salt, which prevents guessing the committed value.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

from covey.protocol.abi import hash_of, word


def entry_commitment(chain_id: int, registry: str, task_id: int, operator: str, digest: bytes, salt: bytes) -> bytes:
    """Commitment to an entry, as TaskRegistry checks it at the reveal.

    Args:
        digest: sha2-256 digest of the entry's CID, 32 bytes.
        salt: 32 random bytes, kept secret until the reveal.
    """
    return hash_of(chain_id, registry, task_id, operator, digest, salt)


def score_commitment(
    chain_id: int,
    scoring: str,
    task_id: int,
    round_number: int,
    operator: str,
    words: Sequence[int],
    evidence_digest: bytes,
    salt: bytes,
) -> bytes:
    """Commitment to a whole row of packed scores, as Scoring checks it at the reveal.

    Args:
        words: the packed row, ceil(entries / 16) words.
        evidence_digest: sha2-256 digest of the score sheet's CID, 32 bytes.
        salt: 32 random bytes, kept secret until the reveal.
    """
    return hash_of(chain_id, scoring, task_id, round_number, operator, words_hash(words), evidence_digest, salt)


def sealed_commitment(chain_id: int, registry: str, creator: str, digest: bytes, salt: bytes) -> bytes:
    """A creator's commitment to its sealed evaluation set, as TaskRegistry checks it at the opening."""
    return hash_of(chain_id, registry, creator, digest, salt)


def words_hash(words: Sequence[int]) -> bytes:
    """``keccak256(abi.encodePacked(words))`` of a ``uint256[]``."""
    return keccak(b"".join(map(word, words)))


def stored_prefix(commitment: bytes) -> bytes:
    """A commitment as the contracts store and return it: its first 28 bytes, then four zero bytes."""
    return commitment[:28] + bytes(4)
