"""Boards as training scenes: rendered ones, and the real ones at hand."""
