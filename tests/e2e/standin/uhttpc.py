#!/usr/bin/env python3
"""Stand-in for nuclio's uhttpc, which an image's health check runs: one GET, exit 0 on any answer whatever its status.

So a container is "healthy" as soon as the processor's health server answers, even if it answers 503.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request

parser = argparse.ArgumentParser("uhttpc", allow_abbrev=False)
parser.add_argument("--url", "-url", required=True)
try:
    with urllib.request.urlopen(parser.parse_args().url, timeout=60):
        pass
except urllib.error.HTTPError:
    pass
except OSError as error:
    print(error)
    sys.exit(1)
