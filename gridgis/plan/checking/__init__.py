"""What a check of grids is made of: exact overlay of polygons and lines, and faults that become defects."""
