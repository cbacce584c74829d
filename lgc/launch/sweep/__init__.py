"""Sweeps: many short trainings that search the trade-off of rate, perception and machine tasks."""
