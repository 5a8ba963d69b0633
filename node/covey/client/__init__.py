"""The public Python API: read a network, send transactions, post tasks, claim rewards."""
