"""Local networks: anvil with the contracts, funded operators and their daemons, and the demo that runs on one."""
