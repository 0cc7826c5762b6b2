"""The subcommands of `pcb-aoi`, one module each."""
