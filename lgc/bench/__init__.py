"""Timing commands: everything that is compared runs in one process, in turns, and is reported as ratios."""
