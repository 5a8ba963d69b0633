"""Deployment of the contracts and of their governance."""
