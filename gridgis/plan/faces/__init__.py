"""From lines to faces: barriers noded, carried on and joined to outlines; which faces are no blocks."""
