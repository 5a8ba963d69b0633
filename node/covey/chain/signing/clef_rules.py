"""The rules by which Clef signs for a node without asking: to the network's contracts, no value, a bounded price.

Of the token, only approvals of these contracts: whoever reaches Clef cannot have the signer's CVY sent away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from covey.chain.gas import TRANSFER_GAS

if TYPE_CHECKING:
    from covey.chain.deployment import Deployment

_RULES = """\
// Rules by which Clef signs for a Covey node without asking. Made by `covey keys clef-rules`.
// Attest this file again after every change: clef attest $(sha256sum FILE | cut -d' ' -f1)
var SIGNER = %(signer)s;
var TOKEN = %(token)s;
var CONTRACTS = %(contracts)s;
var MOST_WEI_PER_GAS = %(price)d;
var MOST_GAS = %(gas)d;

function ApproveTx(request) {
  var tx = request.transaction;
  var to = (tx.to || "").toLowerCase();
  var data = tx.data || tx.input || "0x";
  if (tx.from.toLowerCase() !== SIGNER) { return "Reject"; }
  if (!/^0x0*$/.test(tx.value || "0x0")) { return "Reject"; }
  if (!tx.maxFeePerGas || parseInt(tx.maxFeePerGas, 16) > MOST_WEI_PER_GAS) { return "Reject"; }
  if (parseInt(tx.gas, 16) > MOST_GAS) { return "Reject"; }
  // A transfer of nothing to itself: how the node cancels what it has signed.
  if (to === SIGNER && data === "0x" && parseInt(tx.gas, 16) <= %(cancel)d) { return "Approve"; }
  if (to === TOKEN) {
    var approval = /^0x095ea7b3[0]{24}([0-9a-f]{40})[0-9a-f]{64}$/.exec(data);
    return approval && CONTRACTS.indexOf("0x" + approval[1]) >= 0 ? "Approve" : "Reject";
  }
  return CONTRACTS.indexOf(to) >= 0 ? "Approve" : "Reject";
}

// Anybody who reaches Clef learns the address; the node asks for it at its start.
function ApproveListing() { return "Approve"; }
function ApproveSignData() { return "Reject"; }
function ApproveNewAccount() { return "Reject"; }
function OnSignerStartup() {}
function OnApprovedTx() {}
"""


def rules_for(signer: str, deployment: Deployment, *, max_gas_price: int, max_gas: int) -> str:
    """The rules for a deployment: everything of it but the token and what governs it."""
    apart = ("CoveyToken", "AccessManager")
    others = [record.address for name, record in deployment.contracts.items() if name not in apart]
    token = deployment.contracts["CoveyToken"].address
    return clef_rules(signer, token, others, max_gas_price=max_gas_price, max_gas=max_gas)


def clef_rules(signer: str, token: str, contracts: Sequence[str], *, max_gas_price: int, max_gas: int) -> str:
    """A rule file for Clef.

    Args:
        signer: the only address to sign for.
        token: the network's token, to which only approvals go.
        contracts: the only other addresses to call, and the only ones to approve.
        max_gas_price: most wei a unit of gas.
        max_gas: most gas of a transaction.
    """
    return _RULES % {
        "signer": json.dumps(signer.lower()),
        "token": json.dumps(token.lower()),
        "contracts": json.dumps(sorted(address.lower() for address in contracts)),
        "price": max_gas_price,
        "gas": max_gas,
        "cancel": 10 * TRANSFER_GAS,
    }
