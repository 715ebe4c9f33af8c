"""Which grid is a point in: exact, for arrays of x and y. Used by plan, assign, patrol and the map.

locator.py is what others use. ground.py asks GEOS, table.py looks up in a table of cells, walking.py settles what is
near an edge, building.py makes the table, cost.py says when it pays, compiled.py is the same look-up as a compiled
loop, and kept.py is the file that keeps it all.
"""

from gridgis.locate.locator import GridLocator

__all__ = ["GridLocator"]
