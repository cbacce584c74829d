"""Layered generative compression."""
