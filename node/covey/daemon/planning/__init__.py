"""Pure functions from chain state to due duties."""
