"""Keystores, remote signers, and verification of what they sign."""
