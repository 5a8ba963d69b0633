"""The node's long-running process: follows the chain, plans and runs duties, and reports its health."""
