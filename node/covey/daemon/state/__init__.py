"""The chain as this node sees it: tasks, committees, appeals and credits, folded from contract events."""
