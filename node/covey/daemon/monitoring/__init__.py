"""Health, metrics, notifications, and the clock check."""
