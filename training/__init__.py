"""Teach, calibrate and measure the weights of a function: what users run."""
