"""nuclio's entry into this function; model.yaml beside this file says which model it is.

Both are defined here and not only bound: nuclio looks for init_context in the module that handler was defined in.
"""

from pathlib import Path

from pcb_aoi import nuclio

FOLDER = Path(__file__).resolve().parent  # nuclio's working directory is another one


def init_context(context):
    nuclio.load_model(context, FOLDER)


def handler(context, event):
    return nuclio.handle(context, event)
