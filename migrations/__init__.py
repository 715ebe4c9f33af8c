"""The migrations of the store; in an installed gridgis this folder is the package ``gridgis_migrations``."""
