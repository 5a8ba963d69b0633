"""What the node knows of the chain: tasks, committees, appeals and its own ledger, folded from events."""
