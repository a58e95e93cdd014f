"""How results are shown: one module a format. Renders values; must not run, load or judge anything."""
