"""A real Clef that signs automatically by the rules that Covey generates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.registration import registration
from tests.support.chain.sending import TO, finish, new_sender, open_store, plain, status_of
from tests.support.clef.daemon import Clef
from tests.support.clef.fixtures import new_clef

from covey.chain.contracts import Contracts
from covey.chain.errors import SigningFailed
from covey.chain.gas import MAX_GAS, TRANSFER_GAS
from covey.chain.signing.clef_rules import rules_for
from covey.chain.signing.consent import sign_consent
from covey.chain.signing.keystore import LocalSigner
from covey.chain.signing.remote import RemoteSigner, open_remote
from covey.chain.tx.fees import GWEI
from covey.chain.tx.store import TxAction, TxStatus

pytestmark = pytest.mark.daemon

KEY, OTHER = b"\x31" * 32, b"\x32" * 32
ADDRESS, OTHER_ADDRESS = (LocalSigner.from_key(key).address for key in (KEY, OTHER))


@pytest.fixture(scope="module")
def clef(tmp_path_factory: pytest.TempPathFactory, deployment: object) -> Iterator[Clef]:
    from covey.chain.deployment import Deployment

    assert isinstance(deployment, Deployment)
    clef = new_clef(tmp_path_factory.mktemp("clef") / "clef", [KEY, OTHER], CHAIN_ID)
    clef.attest(rules_for(ADDRESS, deployment, max_gas_price=300 * GWEI, max_gas=MAX_GAS))
    with clef:
        yield clef


@pytest.fixture(params=["http", "ipc"])
def signer(request: pytest.FixtureRequest, clef: Clef) -> RemoteSigner:
    return open_remote(f"clef:{getattr(clef, request.param)}", ADDRESS)


def fields_of(to: str, data: bytes, **other: int) -> dict[str, object]:
    fees = {"maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI}
    return {"type": 2, "chainId": CHAIN_ID, "nonce": 3, "to": to, "value": 0, "gas": 100_000, "data": data, **fees,
            **other}  # fmt: skip


def test_signature_equals_that_of_a_local_signer(signer: RemoteSigner, contracts: Contracts) -> None:
    call = registration(contracts, ADDRESS, LocalSigner.from_key(OTHER), 500)
    assert call.to is not None
    fields = fields_of(call.to, call.data)
    assert signer.sign_transaction(fields) == LocalSigner.from_key(KEY).sign_transaction(fields)


def test_rules_allow_a_consent_for_this_deployment_only(signer: RemoteSigner, contracts: Contracts) -> None:
    wanted = contracts.staking.consent_of(OTHER_ADDRESS)
    assert sign_consent(signer, wanted) == sign_consent(LocalSigner.from_key(KEY), wanted)
    with pytest.raises(SigningFailed, match=r"clef at .* refused: "):
        sign_consent(signer, replace(wanted, staking=TO))


def test_sender_sends_transactions_signed_by_clef(signer: RemoteSigner, chain: Chain, contracts: Contracts) -> None:
    chain.ask("anvil_setBalance", ADDRESS, hex(10**18))
    sender = new_sender(chain.rpc, signer)
    sender.submit("register", registration(contracts, ADDRESS, LocalSigner.from_key(OTHER), 500))
    finish(sender, "register")
    assert status_of(sender, "register") == TxStatus.DONE
    assert contracts.staking.pool_of(ADDRESS).signer == OTHER_ADDRESS


def test_clef_accepts_every_function_of_the_contracts(signer: RemoteSigner, contracts: Contracts) -> None:
    """Clef parses the signature in the request, and checks that the decoded calldata encodes to the same bytes."""
    from eth_abi.abi import encode
    from eth_hash.auto import keccak

    from covey.chain.abi.layout import canonical_type
    from covey.chain.abi.reverts import signature as signature_of

    seen = 0
    for binding in (contracts.staking, contracts.registry, contracts.scoring, contracts.rewards):
        for item in binding.contract.abi:
            if item["type"] != "function" or item["stateMutability"] in ("view", "pure"):
                continue
            types = [canonical_type(parameter) for parameter in item["inputs"]]
            selector = keccak(signature_of(item).encode())[:4]
            data = selector + encode(types, [_example_value(parameter) for parameter in item["inputs"]])
            assert signer.sign_transaction(fields_of(binding.address, data)).raw
            seen += 1
    assert seen > 30


def _example_value(component: dict[str, object]) -> object:
    """An example value of an ABI type."""
    kind = str(component["type"])
    if match := re.fullmatch(r"(.*)\[(\d*)\]", kind):
        return [_example_value({**component, "type": match[1]})] * int(match[2] or 2)
    if kind.startswith("tuple"):
        return tuple(_example_value(inner) for inner in component["components"])  # type: ignore[attr-defined]
    if kind.startswith(("uint", "int")):
        return 1
    if kind == "bytes":
        return b"\1" * 40
    return {"address": TO, "bool": True, "string": "text"}.get(kind) or b"\1" * int(kind.removeprefix("bytes"))


@pytest.mark.parametrize(
    "changed",
    [{"to": TO}, {"value": 1}, {"gas": MAX_GAS + 1}, {"maxFeePerGas": 301 * GWEI}, {"to": ADDRESS, "data": b"\1" * 36}],
    ids=["another contract", "value", "gas", "price", "self call"],
)
def test_rules_refuse_transactions_that_a_node_never_sends(
    signer: RemoteSigner, contracts: Contracts, changed: dict[str, object]
) -> None:
    call = contracts.staking.set_signer(OTHER_ADDRESS, b"\1" * 65)
    assert call.to is not None
    signer.sign_transaction(fields_of(call.to, call.data))
    with pytest.raises(SigningFailed, match=r"clef at .* refused: "):
        signer.sign_transaction({**fields_of(call.to, call.data), **changed})


def test_rules_allow_only_approvals_of_the_contracts_for_the_token(signer: RemoteSigner, contracts: Contracts) -> None:
    token, staking = contracts.token, contracts.staking
    assert signer.sign_transaction(fields_of(token.address, token.approve(staking.address, 2**256 - 1).data)).raw
    transfer = token.contract.encode_abi("transfer", [TO, 5])
    for data in (token.approve(TO, 5).data, token.approve(token.address, 5).data, bytes.fromhex(transfer[2:])):
        with pytest.raises(SigningFailed, match="denied"):
            signer.sign_transaction(fields_of(token.address, data))


def test_rules_refuse_other_keys_and_other_chains(clef: Clef, contracts: Contracts) -> None:
    call = contracts.staking.set_signer(OTHER_ADDRESS, b"\1" * 65)
    assert call.to is not None
    other = open_remote(f"clef:{clef.http}", OTHER_ADDRESS)
    with pytest.raises(SigningFailed, match=r"refused: Request denied|refused: request denied"):
        other.sign_transaction(fields_of(call.to, call.data))
    with pytest.raises(SigningFailed, match="chainid 1 does not match"):
        open_remote(f"clef:{clef.http}", ADDRESS).sign_transaction(fields_of(call.to, call.data, chainId=1))


def test_rules_allow_a_cancellation(signer: RemoteSigner, chain: Chain, contracts: Contracts) -> None:
    chain.hold()
    chain.ask("anvil_setBalance", ADDRESS, hex(10**18))
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("register", registration(contracts, ADDRESS, LocalSigner.from_key(OTHER), 500))
    sender.tick()
    store.request_action(1, TxAction.CANCEL)
    sender.tick()
    assert store.attempts(1)[-1].gas <= 10 * TRANSFER_GAS
    chain.mine()
    sender.tick()
    assert status_of(sender, "register") == TxStatus.CANCELLED


def test_refusal_blocks_the_queue_and_keeps_the_request(signer: RemoteSigner, chain: Chain) -> None:
    chain.ask("anvil_setBalance", ADDRESS, hex(10**18))
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    status = sender.tick()
    assert status.blocked.startswith("send 5 wei: clef at ")
    assert "refused: " in status.blocked
    assert (status.queued, status_of(sender, "a"), store.attempts(1)) == (1, TxStatus.QUEUED, [])
