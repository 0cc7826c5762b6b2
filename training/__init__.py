"""How the shipped weights were made: data, net, training, calibration, export, evaluation.

Nothing here is needed at run time. Importing this package does not import torch; its modules do.
"""
