"""Settings of the node: where each is defined, how files, environment and flags are layered, how secrets are read."""
