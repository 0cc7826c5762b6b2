"""The version of nuclio that is played: the environment's, or the one that was put here with the image."""

import os

VERSION = os.environ.get("NUCLIO_STANDIN_VERSION", "@VERSION@")
