"""The version of the package, in one place. Imports nothing, so that `lumyn --version` stays cheap."""

__version__ = "0.1.0"
