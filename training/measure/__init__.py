"""Weights against truth, through the engine that serves them."""
