"""Bare-board renderer: copper masks, planted defects, and what an inspection camera makes of them."""
