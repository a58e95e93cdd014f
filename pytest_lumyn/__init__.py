"""The pytest plugin that runs golden vectors; `pytest_lumyn.plugin` is its entry point. PYTEST_DONT_REWRITE"""
