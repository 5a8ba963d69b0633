"""Classification of refusals, in the words of many providers and clients."""

from __future__ import annotations

import pytest

from covey.chain.errors import ContractReverted, RpcResponseError, TooManyResults
from covey.chain.rpc.refusals import (
    is_busy,
    is_deserved,
    is_endpoint_trouble,
    is_known_transaction,
    may_shrink,
    narrow_error,
)
from covey.chain.tx.attempts import Verdict, verdict_of

LOG_LIMITS = [
    (-32602, "range 2001 exceeds limit of 2000"),
    (-32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2]."),
    (-32602, "Log response size exceeded. This block range should work: [0x1, 0x2]"),
    (-32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range."),
    (-32614, "eth_getLogs is limited to a 10,000 range"),
    (-32614, "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range"),
    (-32600, "block range is too wide"),
    (-32600, "exceed maximum block range: 50000"),
    (-32000, "eth_getLogs range is too large, max is 1k blocks"),
    (-32047, "Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: 800"),
    (-32602, "eth_getLogs is limited to 1024 block range. Please check the parameter requirements"),
    (-32701, "Please specify an address in your request or, to remove restrictions, order a dedicated full node"),
    (-32005, "Requested range exceeds maximum RPC range limit"),
    (-32000, "query exceeds max block range 1000"),
    (-32602, "query exceeds max results 20000, retry with the range 1-2"),
    (-32005, "logs matched by query exceeds limit of 10000"),
    (-32020, "backend response too large"),
    (-32000, "Block range limit exceeded. See more details at https://docs.example/limits#evm-range-limits"),
    (-32600, "please limit the query to at most 1000 blocks"),
    (35, "ranges over 10000 blocks are not supported on freetier"),
    (30, "Request timeout on the free tier, please upgrade your tier to the paid one"),
    (-32000, "GetLogs query must be smaller than size 1024"),
    (-32016, "Too many logs requested. Max logs per response is 20000."),
    (-32603, "Internal error: span of the query is above 5000"),
    (-32005, "limit exceeded"),
    (-32603, "query timeout exceeded"),
    (0, "no reason at all"),
    (-32602, "invalid params"),
    (-32001, "exceeds the range allowed for your plan of 2000"),
]
RATE_LIMITS = [
    (-32005, "project ID request rate exceeded"),
    (-32005, "daily request count exceeded, request rate limited"),
    (-32005, "You've exceeded the RPS limit available on the current plan"),
    (-32007, "15/second request limit reached - reduce calls per second or upgrade your account"),
    (-32007, "request limit of 15 a second reached"),
    (-32090, "Too many requests, reason: call rate limit exhausted, retry in 10s"),
    (429, "Your app has exceeded its compute units per second capacity"),
    (-32016, "over rate limit"),
    (-32029, "Monthly capacity limit exceeded"),
    (-32000, "credits limited to 500/sec"),
    (-32005, "throughput exceeded, please slow down"),
    (-32600, "quota of this key is used up"),
]
PASSING = [
    (200, -32011, "no backend is currently healthy to serve traffic"),
    (503, -32011, "no backend is currently healthy to serve traffic"),
    (503, -32000, "please come back"),
    (500, -32603, "Internal JSON-RPC error."),
    (200, -32001, "block not found: hash 0xabc"),
    (200, -32000, "historical state 00 is not available"),
    (200, -32000, "header not found"),
    (200, -32000, "header for hash not found"),
    (200, -32000, "missing trie node 12 (path )"),
    (200, -32000, "state is not available"),
    (200, 4444, "pruned history unavailable"),
    (200, -32000, "the requested block is ahead of the node"),
    (200, -32000, "Unauthorized: API key expired"),
    (200, -32600, "invalid api key"),
    (200, -32002, "project id does not have access"),
    (200, -32601, "the method eth_call does not exist/is not available"),
    (200, -32004, "Method not supported"),
    (200, -32000, "upstream connect error or disconnect/reset before headers"),
    (200, -32000, "load balancer error"),
    *((200, code, text) for code, text in RATE_LIMITS),
]


def refusal(method: str, code: int, message: str, status: int = 200) -> RpcResponseError:
    return RpcResponseError(method, code, message, status=status)


@pytest.mark.parametrize(("code", "message"), LOG_LIMITS)
def test_refused_log_range_may_shrink_in_any_words(code: int, message: str) -> None:
    error = refusal("eth_getLogs", code, message)
    assert not is_deserved(error)
    assert may_shrink(error, 2)
    assert isinstance(narrow_error(error, 2), TooManyResults)
    assert not may_shrink(error, 1)
    assert narrow_error(error, 1) is error


@pytest.mark.parametrize(("code", "message"), RATE_LIMITS)
def test_rate_limit_of_logs_waits(code: int, message: str) -> None:
    error = refusal("eth_getLogs", code, message)
    assert is_busy(error)
    assert is_endpoint_trouble(error)
    assert not may_shrink(error, 1000)


@pytest.mark.parametrize("method", ["eth_call", "eth_getBalance", "eth_getLogs"])
@pytest.mark.parametrize(("status", "code", "message"), PASSING)
def test_passing_trouble_goes_to_the_next_endpoint(method: str, status: int, code: int, message: str) -> None:
    error = refusal(method, code, message, status)
    assert is_endpoint_trouble(error)
    assert not is_deserved(error)


@pytest.mark.parametrize(
    ("method", "code", "message"),
    [
        ("eth_call", 3, "execution reverted"),
        ("eth_call", -32015, "VM execution error."),
        ("eth_call", -32603, "execution reverted: no"),
        ("eth_estimateGas", -32000, "gas required exceeds allowance (30000000)"),
        ("eth_estimateGas", -32000, "insufficient funds for gas * price + value: balance 0"),
        ("eth_estimateGas", -32000, "invalid opcode: INVALID"),
        ("eth_getBalance", -32602, "invalid argument 0: hex string has length 2, want 40"),
        ("eth_sendRawTransaction", -32000, "nonce too low"),
        ("eth_sendRawTransaction", -32003, "insufficient funds for gas * price + value"),
        ("eth_sendRawTransaction", -32010, "FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 2"),
        ("eth_sendRawTransaction", -32603, "AlreadyKnown"),
    ],
)
def test_what_the_call_deserves_stays(method: str, code: int, message: str) -> None:
    error = refusal(method, code, message)
    assert is_deserved(error)
    assert not is_endpoint_trouble(error)


@pytest.mark.parametrize("data", ["0x4e487b710000000000000000000000000000000000000000000000000000000000000012"])
@pytest.mark.parametrize("prefix", ["", "Reverted "])
def test_revert_data_is_decoded_in_each_clients_form(data: str, prefix: str) -> None:
    narrowed = narrow_error(RpcResponseError("eth_call", -32015, "VM execution error.", prefix + data))
    assert isinstance(narrowed, ContractReverted)
    assert "division by zero" in str(narrowed)


SENDING = {
    Verdict.UNDERPRICED: [
        "transaction underpriced",
        "transaction underpriced: tip needed 1000000, tip permitted 1",
        "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1, baseFee: 7",
        "transaction gas price below minimum: 1 gwei",
        "FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 2",
        "FeeTooLow",
        "FeeTooLowToCompete",
        "Gas price below configured minimum gas price",
        "GAS_PRICE_TOO_LOW",
        "GAS_PRICE_BELOW_CURRENT_BASE_FEE",
        "fee too low",
        "fee cap less than block base fee",
        "underpriced",
        "effective gas price is too low: 7 < 9",
        "Your transaction was dropped due to the limit of the queue. Try increasing the fee.",
    ],
    Verdict.NONCE_OCCUPIED: [
        "replacement transaction underpriced",
        "ReplacementNotAllowed",
        "could not replace existing tx",
        "TRANSACTION_REPLACEMENT_UNDERPRICED",
        "Transaction gas price is too low. There is another transaction with same nonce in the queue.",
    ],
    Verdict.NONCE_USED: [
        "nonce too low",
        "nonce too low: next nonce 5, tx nonce 3",
        "nonce too low: address 0x1, tx: 3 state: 5",
        "OldNonce, Current nonce: 5, nonce of rejected tx: 3",
        "OldNonce",
        "Transaction nonce is below sender account nonce",
        "Transaction nonce is too low. Try incrementing the nonce.",
        "NONCE_TOO_LOW",
        "invalid nonce",
    ],
    Verdict.NO_FUNDS: [
        "insufficient funds for gas * price + value: balance 0, tx cost 21000",
        "InsufficientFunds, Account balance: 1, MaxFeePerGas: 2",
        "Upfront cost exceeds account balance",
        "UPFRONT_COST_EXCEEDS_BALANCE",
        "sender doesn't have enough funds to send tx: not enough funds",
    ],
    Verdict.REJECTED: [
        "oversized data",
        "exceeds block gas limit",
        "GasLimitExceeded, Block gas limit: 1",
        "MaxTxSizeExceeded",
        "max initcode size exceeded",
        "intrinsic gas too low",
        "transaction type not supported",
    ],
    Verdict.OTHER: ["txpool is full", "pending sub-pool is full", "PendingTxsLimit", "out of luck today"],
}


@pytest.mark.parametrize(
    ("message", "verdict"), [(message, verdict) for verdict, messages in SENDING.items() for message in messages]
)
def test_refused_transaction_is_classified_in_any_clients_words(message: str, verdict: Verdict) -> None:
    assert verdict_of(message) == verdict
    error = refusal("eth_sendRawTransaction", -32000, message)
    assert not is_known_transaction(error)
    assert is_deserved(error) == (verdict != Verdict.OTHER)


@pytest.mark.parametrize(
    "message",
    [
        "already known",
        "AlreadyKnown",
        "ALREADY_KNOWN",
        "Known transaction",
        "known transaction: 0xabc",
        "Transaction with the same hash was already imported.",
        "transaction already in mempool",
        "tx already exists in cache",
    ],
)
def test_known_transaction_counts_as_sent(message: str) -> None:
    error = refusal("eth_sendRawTransaction", -32000, message)
    assert is_known_transaction(error)
    assert is_deserved(error)


def test_unknown_transaction_is_not_a_known_one() -> None:
    assert not is_known_transaction(refusal("eth_sendRawTransaction", -32000, "unknown transaction type"))
