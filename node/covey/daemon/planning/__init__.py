"""Pure functions from chain state to the duties that are due."""
