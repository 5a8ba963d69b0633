"""Transactions from request to finality."""
