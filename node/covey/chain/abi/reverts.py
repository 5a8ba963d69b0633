"""Decodes revert data to the contracts' custom errors, and explains the common ones."""

from __future__ import annotations

from functools import cache
from typing import Any

from eth_hash.auto import keccak

from covey.chain import artifacts
from covey.chain.abi.layout import canonical_type
from covey.chain.errors import RevertReason

_PANICS = {
    0x01: "an assertion failed",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "a value outside its enum",
    0x31: "pop of an empty array",
    0x32: "array index out of bounds",
    0x41: "out of memory",
}

_EXPLANATIONS = {
    "RegistryPaused": "new tasks, entries and enrolments are paused",
    "RegistryNotSigner": "this key is not the operator's signer; set it with setSigner",
    "RegistryNotEligible": "the operator is not eligible: it needs its minimum self-bond and must not be jailed",
    "RegistryWindowClosed": "that window of the task is not open",
    "RegistryFull": "the task has its maximum number of entries",
    "RegistryFeeAboveMax": "the entry fee has risen above the limit given",
    "RegistryAlreadyCommitted": "the operator has already entered this task",
    "RegistryAlreadyEnrolled": "the operator has already enrolled in this task",
    "RegistryIsEntrant": "an operator cannot enter and validate the same task",
    "RegistryBadReveal": "digest and salt do not open the commitment",
    "StakingStakeTooLow": "the operator's free stake is too low",
    "StakingNotBonded": "the pool takes stake of its operator only, whose self-bond is below the minimum",
    "StakingEarmarked": "an operator's own stake stays while it is behind a task: wait until its earmarks are released",
    "StakingNoConsent": "the signature is not the signer's consent to this operator: sign it with `covey keys consent`",
    "StakingUnknownEntry": "no such entry, or it was withdrawn",
    "StakingMovedEntry": "the entry's stake moved to another pool: it cannot be cancelled",
    "StakingCommissionLapsed": "the announced commission lapsed: announce it again",
    "StakingNotEligible": "the operator is not eligible: it needs its minimum self-bond and must not be jailed",
    "StakingUnbondingNotOver": "unbonding is not over yet",
    "StakingSignerTaken": "that key already signs for another operator",
    "StakingSlippage": "the share price moved past the limit given",
    "ScoringNoSeat": "the operator has no seat in this round",
    "ScoringBadReveal": "words, evidence and salt do not open the commitment",
    "ScoringWindowClosed": "that window of the round is not open",
    "ScoringSeedPending": "the seed's block does not exist yet",
    "ERC20InsufficientBalance": "the token balance is too low",
    "ERC20InsufficientAllowance": "the token allowance is too low; approve first",
    "AccessManagedUnauthorized": "the caller does not hold the role for this",
}


def signature(item: dict[str, Any]) -> str:
    """The signature ``Name(type,…)`` of an ABI function, event or error."""
    return f"{item['name']}({','.join(canonical_type(c) for c in item['inputs'])})"


@cache
def _errors() -> dict[bytes, dict[str, Any]]:
    """ABI errors of all contracts by selector: an error may come from a contract further down the call stack."""
    return {
        keccak(signature(item).encode())[:4]: item
        for name in artifacts.CONTRACTS
        for item in artifacts.load(name).abi
        if item["type"] == "error"
    }


def decode_revert(data: bytes) -> RevertReason:
    """Decode revert data: a contract's error with its arguments, a message, or a panic.

    Unknown or malformed data is shown as hex; this never raises.
    """
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    selector, payload = data[:4], data[4:]
    try:
        if selector == bytes.fromhex("08c379a0"):
            (message,) = decode(["string"], payload)
            return RevertReason("Error", {"message": message}, message, data)
        if selector == bytes.fromhex("4e487b71"):
            (code,) = decode(["uint256"], payload)
            return RevertReason("Panic", {"code": code}, _PANICS.get(code, f"panic {code:#x}"), data)
        item = _errors().get(selector)
        if item is not None:
            return _decode_custom(item, payload, data)
    except DecodingError:
        pass
    return RevertReason(
        "", text=f"unknown error 0x{data[:36].hex()}" if data else "reverted without a reason", data=data
    )


def _decode_custom(item: dict[str, Any], payload: bytes, data: bytes) -> RevertReason:
    from eth_abi.abi import decode

    values = decode([canonical_type(c) for c in item["inputs"]], payload)
    args = {c["name"] or str(i): _for_display(v) for i, (c, v) in enumerate(zip(item["inputs"], values, strict=True))}
    plain = f"{item['name']}({', '.join(f'{name}={value}' for name, value in args.items())})"
    explanation = _EXPLANATIONS.get(item["name"])
    return RevertReason(item["name"], args, f"{explanation} [{plain}]" if explanation else plain, data)


def _for_display(value: Any) -> Any:
    """A decoded value for display: left-aligned printable ASCII as text, other bytes as hex."""
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        if text and text.isascii() and text.decode().isprintable():
            return text.decode()
        return "0x" + value.hex()
    return value
