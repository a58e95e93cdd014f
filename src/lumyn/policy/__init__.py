"""The policy language: its operator table, its types, its loader and its validator."""
