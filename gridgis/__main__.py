"""``python -m gridgis`` is the command ``gridgis``."""

from gridgis.cli import main

main()
