"""
What can be said about all requests at once: cells, boxes, coverage, mutation, differences and proofs.
Built on the engine's own table of operators; must not know pytest or the command line.
"""
