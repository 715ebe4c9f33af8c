"""The invented sub-district: every feature can be seen on it, and nothing in it exists.

It is made in the order of its files: the ground (streets, water, blocks, communities), the town on it (lots, compounds,
buildings, addresses), the people (houses, persons, staff, boards), and their tracks.
"""

from gridgis.sample.write import write_sample

__all__ = ["write_sample"]
