"""Classifies JSON-RPC errors by remedy.

Providers word the same refusal in dozens of ways, so no list of texts decides alone:

- What the call itself deserves (a revert, a bad argument, a nonce, missing funds) is its answer.
- Trouble of the endpoint (a rate limit, a missing block, a dead backend) goes to the next endpoint.
- Any other error also goes to the next endpoint. If all refuse, it is the answer.
- A refused log query over several blocks is repeated over fewer, unless the refusal is known to be a rate limit.
"""

from __future__ import annotations

import re
from typing import Any

from covey.chain.abi.reverts import decode_revert
from covey.chain.errors import ChainError, ContractReverted, RevertReason, RpcResponseError, TooManyResults

NO_SUCH_METHOD = -32601
_INVALID_PARAMS = -32602
_NO_BACKEND = -32011
_REVERT_CODES = (3, -32015)
"""geth, anvil and Besu; Nethermind and OpenEthereum."""
_RUNS_CODE = ("eth_call", "eth_estimateGas", "eth_sendRawTransaction")

_BUSY = re.compile(
    r"rate.?limit|rate (is )?exceeded|too many (requests|calls)|throttl|throughput|compute units|\bcredits?\b|"
    r"\bcapacity\b|\bquota\b|\brps\b|"
    r"\b(requests?|calls?)\b.{0,40}(\blimit|exceed|count|per (second|minute|day|month))|"
    r"(\blimit|exceed|reached).{0,40}\b(requests?|calls?)\b|"
    r"(/|per |a )(sec(ond)?|min(ute)?|day|month)\b|\b(daily|monthly)\b|slow down|try again later",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"\b(blocks?|block ?range|ranges?|logs|results?|response|size|wide|large|span|matched)\b", re.IGNORECASE
)
"""Words about the size of a log query. A refusal that has one is no rate limit."""
_TOO_MANY = re.compile(
    r"more than \d+ (results|logs)|too many (results|logs|blocks)|block ?range|range (is )?too (large|wide)|"
    r"query timeout|response size|logs matched|exceeds? .*(range|blocks?|results?)|limited to .*(range|blocks?)",
    re.IGNORECASE,
)
_MISSING_DATA = re.compile(
    r"block ?(is )?out ?of ?range|beyond (the )?(current )?head|header (is )?not (found|available)|"
    r"(unknown|missing|no such) (block|header|state)|(block|header|state|root)\b.{0,80}\bnot (found|available|exist)|"
    r"missing trie node|state (is )?(not available|pruned|unavailable)|pruned|historical state|"
    r"not (yet )?synced|syncing|indexing is in progress|ahead of",
    re.IGNORECASE,
)
"""Errors about a block or state that the node does not have (yet, or any more)."""
_ENDPOINT_TROUBLE = re.compile(
    r"internal( json-rpc)? error|server error|timed? ?out|deadline exceeded|took too long|"
    r"backend|balancer|upstream|healthy|"
    r"unavailable|overload|maintenance|"
    r"unauthori[sz]ed|forbidden|access denied|not allowed|api.?key|project id|"
    r"(key|token|plan|subscription|trial) .*(expired|invalid|revoked)|"
    r"(invalid|expired|missing) (api|access|auth|key|token)|"
    r"payment required|method .*not (found|supported|available|enabled)|"
    r"does not exist/is not available|unsupported method",
    re.IGNORECASE,
)
_ENDPOINT_CODES = (NO_SUCH_METHOD, -32603, -32005, -32097, _NO_BACKEND, -32007, -32004, 429)
"""Method not found, internal error, limit exceeded and method not supported (EIP-1474); provider-specific limits."""
_CALL_AT_FAULT = re.compile(
    r"gas required exceeds|out of gas|intrinsic gas|insufficient|invalid (opcode|jump|instruction)|bad instruction|"
    r"stack (underflow|limit|overflow)|nonce|always failing|exceeds? (the )?(block )?gas limit|"
    r"max initcode|invalid (sender|signature)|rlp|cannot unmarshal|invalid argument|"
    r"underpriced|\bfee|fee ?too ?low|\bknown\b|already|replace|same (nonce|hash)|max.?fee|gas price|price too low|"
    r"would exceed|\bbalance\b|funds|oversized|gas ?limit|size ?exceeded|type not supported|not an eoa|is ?contract",
    re.IGNORECASE,
)
"""Refusals of a transaction, and outcomes of a run, that no other node would answer otherwise."""

_KNOWN_TRANSACTION = re.compile(
    r"already (known|imported|exists|have|in (the )?(mem|tx)? ?pool)|\bknown transaction|same hash|"
    r"(was|been) already imported|duplicate transaction"
)


def is_revert(error: RpcResponseError) -> bool:
    """True if a contract reverted, by the error's code or text."""
    if error.method not in _RUNS_CODE:
        return False
    return error.code in _REVERT_CODES or "revert" in error.message.lower()


def is_busy(error: RpcResponseError) -> bool:
    """True if the endpoint limits the rate of requests."""
    if error.code == 429 or error.status == 429:
        return True
    if error.method == "eth_getLogs" and _SIZE.search(error.message):
        return False
    return bool(_BUSY.search(error.message))


def is_deserved(error: RpcResponseError) -> bool:
    """True if the call itself is refused, so that every other endpoint would refuse it too."""
    if is_revert(error):
        return True
    if error.method == "eth_getLogs" or is_endpoint_trouble(error):
        return False
    runs_code = error.method in _RUNS_CODE
    return error.code == _INVALID_PARAMS or (runs_code and bool(_CALL_AT_FAULT.search(spaced(error.message))))


def is_known_transaction(error: RpcResponseError) -> bool:
    """True if the node already has the transaction."""
    return bool(_KNOWN_TRANSACTION.search(spaced(error.message)))


def spaced(message: str) -> str:
    """A message in lower case with spaces inside identifiers: ``OldNonce`` and ``OLD_NONCE`` become ``old nonce``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", message).lower()


def is_endpoint_trouble(error: RpcResponseError) -> bool:
    """True for an error that is known to be the endpoint's: limits, missing methods, missing state, dead backends."""
    if is_revert(error):
        return False
    if is_busy(error) or _MISSING_DATA.search(error.message):
        return True
    if error.method in _RUNS_CODE and _CALL_AT_FAULT.search(spaced(error.message)):
        return False  # some clients use the code of an internal error for every refusal
    return error.status >= 500 or error.code in _ENDPOINT_CODES or bool(_ENDPOINT_TROUBLE.search(error.message))


def is_too_many(error: RpcResponseError, blocks: int) -> bool:
    """True if a log query over ``blocks`` blocks was refused in words that are known to mean its size."""
    if error.method != "eth_getLogs" or blocks <= 1 or is_busy(error) or _MISSING_DATA.search(error.message):
        return False
    return error.code == -32005 or bool(_TOO_MANY.search(error.message))


def may_shrink(error: RpcResponseError, blocks: int) -> bool:
    """True if a smaller log query may succeed: any refusal over several blocks that is not known to be for another
    reason, that is a rate limit, a missing block or method, or a dead backend."""
    if error.method != "eth_getLogs" or blocks <= 1 or is_busy(error) or _MISSING_DATA.search(error.message):
        return False
    return error.code not in (NO_SUCH_METHOD, _NO_BACKEND) or is_too_many(error, blocks)


def blocks_of(method: str, params: list[Any]) -> int:
    """Number of blocks that a log query covers; 1 for a query by hash, 0 for any other call."""
    if method != "eth_getLogs" or not params or not isinstance(params[0], dict):
        return 0
    try:
        return int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
    except (KeyError, TypeError, ValueError):
        return 1


def narrow_error(error: RpcResponseError, blocks: int = 0) -> ChainError:
    """Convert a node's error to the most specific error of this package."""
    if is_revert(error):
        return ContractReverted(_revert_reason(error))
    if may_shrink(error, blocks):
        return TooManyResults(error.message)
    return error


def _revert_reason(error: RpcResponseError) -> RevertReason:
    data = error.data.get("data") if isinstance(error.data, dict) else error.data
    if isinstance(data, str) and (match := re.fullmatch(r"(?:Reverted )?0x((?:[0-9a-fA-F]{2})+)", data)):
        return decode_revert(bytes.fromhex(match[1]))
    return RevertReason("", text=error.message)
