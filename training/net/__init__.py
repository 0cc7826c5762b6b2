"""The net, its loss, and the loop that trains it. Needs PyTorch."""
