"""JSON-RPC endpoints: transports, health, fail-over, quorum reads."""
