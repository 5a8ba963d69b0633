"""Durable data of a node: the journal, the secrets file, and checks of free disk space."""
