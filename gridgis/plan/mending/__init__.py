"""What a repair is made of: contested ground, who receives it, and polygons put together again."""
