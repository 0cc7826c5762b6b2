"""nuclio's entry into this function; model.yaml beside this file says which model it is."""

from pcb_aoi.nuclio import entry_points

init_context, handler = entry_points(__file__)
