"""Breaks things on purpose while a stage trains on a real cluster, and measures what that cost.

Only ``lgc bench faults`` imports this room: faults come from outside (signals, a proxy, a full disk) or from a hook
that Ray runs when a worker of the test starts.
"""
