"""What a partition is made of: the graph of blocks, what is possible, the search, and its outcome."""
