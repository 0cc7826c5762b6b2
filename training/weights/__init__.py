"""Weights as a file: export, metadata, versions of a function folder."""
