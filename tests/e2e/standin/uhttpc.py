#!/usr/bin/env python3
"""Stand-in for nuclio's uhttpc, which an image's health check runs: one GET, exit 0 on 200."""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request

parser = argparse.ArgumentParser("uhttpc", allow_abbrev=False)
parser.add_argument("--url", "-url", required=True)
parser.add_argument("--timeout", "-timeout", default="3s")
try:
    with urllib.request.urlopen(parser.parse_args().url, timeout=3) as response:
        sys.exit(0 if response.status == 200 else 1)
except (urllib.error.URLError, OSError):
    sys.exit(1)
