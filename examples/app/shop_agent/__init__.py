"""The support agent of a shop."""
