"""The node's long-running process: follows the chain, plans duties, runs them, and tells how it is doing."""
