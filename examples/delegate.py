"""Delegate CVY to an operator's pool, and print the value of the delegator's shares.

    python examples/delegate.py RPC_URL DEPLOYMENT KEYSTORE PASSWORD_FILE OPERATOR AMOUNT

AMOUNT is a number of CVY, for instance 250 or 12.5.
"""

from __future__ import annotations

import sys
from pathlib import Path

from covey import client


def main(rpc_url: str, deployment: str, keystore: str, password_file: str, operator: str, amount: str) -> int:
    password = Path(password_file).read_text(encoding="utf-8").strip()
    try:
        with client.connect(rpc_url, deployment) as network:
            wallet = network.wallet(client.open_keystore(keystore, password))
            for sent in network.delegate(wallet, operator, client.to_wei(amount)):
                print(f"{sent.purpose}: block {sent.block}, {sent.gas_used:,} gas")
            staking = network.contracts.staking
            shares = staking.shares_of(operator, wallet.address)
            print(f"{wallet.address} owns {client.cvy(staking.tokens_for(operator, shares))} of the pool")
    except client.InvalidInput as error:  # nothing was sent
        print(error, file=sys.stderr)
        return 2
    except client.ClientError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 7:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
