"""What deploy.sh does, in Python 3.10's standard library: it runs before anything is installed."""
