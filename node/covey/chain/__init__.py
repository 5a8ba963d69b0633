"""The chain as the node sees it: endpoints, contract bindings, events, transactions, keys, deployments.

Only `covey.protocol` is imported from the rest of Covey. web3 is imported where it is used, so that a command that
never talks to a chain does not pay for it.
"""
