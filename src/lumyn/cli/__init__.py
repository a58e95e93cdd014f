"""The command line. Importing this package imports nothing else, so that `lumyn --version` stays cheap."""
