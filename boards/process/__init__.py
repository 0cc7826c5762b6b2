"""The five processes: what each draws, and in which order."""
