"""Scenes, the crops that training sees of them, and batches of crops."""
