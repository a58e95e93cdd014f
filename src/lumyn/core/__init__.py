"""Deciding: the pure judgement, and the gate that does the I/O around it."""
