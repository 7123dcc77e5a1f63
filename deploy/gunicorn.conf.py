"""gunicorn reads this file; `service.gunicorn_conf` sets everything, what an installation changes goes below."""
# ruff: noqa: INP001, F403 - a configuration, not a package

from service.gunicorn_conf import *
