"""Transactions, from a request to a settled block.

- `sender`: the queue, nonces and first attempts
- `attempts`: signing, storing and broadcasting one attempt; what a node's refusal means
- `retry`: trying a refused, dropped or stuck transaction again
- `tracker`: receipts and final statuses; `reorg`: settled transactions that a reorg removed
- `external_nonces`: other programs that use our key
- `records`, `store`: requests and attempts, and their SQLite tables
- `oneshot`: send one call and wait
"""
