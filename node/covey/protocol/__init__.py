"""The chain's rules in plain Python: packed scores, seats, settlement, task documents.

Nothing here does I/O and nothing here imports another part of Covey, so that an auditor can read these modules alone
and recompute what the contracts paid. Integers are exact; wherever a contract computes the same thing, the result is
equal bit for bit.
"""
