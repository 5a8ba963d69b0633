"""Cross-checks of what endpoints report, and recovery from omitted events and reorganisations."""
