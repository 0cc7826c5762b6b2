"""How the shipped weights were made: boards drawn with their defects, real boards, recipes."""
