"""Reads and writes the users' tables: vectors, OSM extracts, tracks."""

from gridgis.files.osm import read_osm
from gridgis.files.sites import read_sites
from gridgis.files.track_streams import TrackStream, stream_tracks
from gridgis.files.tracks import read_tracks
from gridgis.files.vectors import list_layers, read, read_layer_beside
from gridgis.files.writing import write, write_layers
from gridgis.replace import write_text

__all__ = [
    "TrackStream",
    "list_layers", "read", "read_layer_beside", "read_osm", "read_sites", "read_tracks",
    "stream_tracks", "write", "write_layers", "write_text",
]  # fmt: skip
