"""`pcb-aoi demo`. The image of the functions leaves this folder out (.dockerignore): nothing else may import it."""
