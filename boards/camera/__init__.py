"""What a camera makes of a board, and what of a defect shows in its picture."""
