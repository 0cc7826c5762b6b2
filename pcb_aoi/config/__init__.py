"""What is written down: labelmaps, model.yaml, function.yaml, the environment's settings, the weights' bytes."""
