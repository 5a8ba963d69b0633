"""The protocol's rules in plain Python: packed scores, seats, settlement, payouts, off-chain documents.

These modules do no I/O and import no other part of Covey, so an auditor can read them on their own and recompute all
payouts of the contracts. Integers are exact; wherever a contract computes the same value, the results are equal bit for
bit.
"""
