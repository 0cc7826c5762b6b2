"""Settings of all tests."""

from hypothesis import settings

# A loaded machine is no failure: what is measured in time is measured as a ratio, in tests/speed. The same examples
# on every run: a red test must be red again when it is looked at.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")
