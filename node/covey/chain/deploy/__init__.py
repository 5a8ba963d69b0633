"""Deployment of the contracts, and their governance."""
