"""Settings of all tests."""

import os

from hypothesis import settings

# A loaded machine is no failure: what is measured in time is measured as a ratio, in tests/speed. The same examples
# on every run: a red test must be red again when it is looked at.
settings.register_profile("project", deadline=None, derandomize=True)
# HYPOTHESIS_PROFILE=explore looks for new examples, other ones on each run; it prints what reproduces a failure.
settings.register_profile("explore", deadline=None, max_examples=2000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "project"))
