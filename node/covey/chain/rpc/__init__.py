"""JSON-RPC: transports, endpoint health, fail-over, quorum reads.

- `endpoint`: the interface of a transport; `http`, `streams`: the transports; `open`: the choice by URL
- `pool`: several endpoints behind one `request`, with fail-over; `endpoint_health`: what the pool knows of each
- `client`: typed calls; `responses`: parsing of answers and errors
- `quorum`: reads on which several endpoints must agree
- `finality`: settled blocks; `header`: RLP of a block header; `web3_provider`: web3 over the pool
"""
