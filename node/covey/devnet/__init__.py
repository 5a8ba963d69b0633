"""A local network in one command: anvil, the contracts, funded operators and their daemons."""
