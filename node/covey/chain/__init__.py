"""Access to the chain: JSON-RPC endpoints, contract bindings, events, transactions, keys, deployments.

Layers, from the top; a module imports only from its own layer and those below:

- `deploy`: deployment and governance
- `tx`: transactions from request to finality
- `signing`: keystores and remote signers; `events`: decoding and following
- `contracts`: typed bindings; `deployment`: deployment records
- `rpc`: endpoints, fail-over, quorum reads
- `abi`: decoding; `artifacts`: compiled contracts
- `errors`, `units`, `gas`

From the rest of Covey it imports only `covey.protocol`. web3 is imported where it is used, so that commands that never
talk to a chain start quickly.
"""
