"""What may be told about decisions besides their records: log lines, spans and measures; never what a request held."""

from lumyn.telemetry.observation import Decided, Observation, Observer

__all__ = ["Decided", "Observation", "Observer"]
