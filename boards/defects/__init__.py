"""Defects, planted in copper, drilled, plated or painted."""
