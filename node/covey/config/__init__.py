"""Settings: models that define each setting once, loading from flags, environment and files, credentials, logs."""
