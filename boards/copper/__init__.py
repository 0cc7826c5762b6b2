"""Copper layers without defects: drawn at random, or read from Gerber and KiCad files."""
