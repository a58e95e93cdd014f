"""
Spans and measures of decisions for OpenTelemetry, where an application has it.
They tell how the gate does, and never stand in for records; must not know what a request held.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from lumyn._version import __version__
from lumyn.errors import InvalidConfigError, Problem
from lumyn.telemetry.observation import Observation

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["DecisionSpans"]

_SCOPE: Final = "lumyn"
_SPAN: Final = "lumyn.decide"


class DecisionSpans:
    """
    An observer of a gate: for each call a span `lumyn.decide`, a count and a duration.

    A span is a child of the one that is current in the caller's thread. Attributes are `lumyn.decision_id`,
    `lumyn.verdict`, `lumyn.reason_codes`, `lumyn.permits`, `lumyn.persisted`, `lumyn.repeated`, `lumyn.policy.id`,
    `lumyn.policy.version` and `lumyn.policy.hash`; its status is an error where the store could not be used. Measures:
    the counter `lumyn.decisions` and the histogram `lumyn.decide.duration`, in seconds, both by verdict and policy.

    Args:
        tracers: Default the global provider. Without an SDK that one does nothing, at next to no cost.
        meters: Default the global provider.

    Raises:
        InvalidConfigError: `DEPENDENCY_MISSING`: OpenTelemetry is not installed.
    """

    def __init__(self, *, tracers: TracerProvider | None = None, meters: MeterProvider | None = None) -> None:
        try:
            from opentelemetry import metrics, trace
        except ImportError:
            message = "OpenTelemetry is not installed, and spans are asked for"
            problem = Problem(code="DEPENDENCY_MISSING", message=message, hint="`pip install opentelemetry-sdk`")
            raise InvalidConfigError([problem]) from None
        self._tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider=tracers)
        meter = metrics.get_meter(_SCOPE, __version__, meter_provider=meters)
        self._decisions = meter.create_counter("lumyn.decisions", unit="{decision}", description="Records returned.")
        self._duration = meter.create_histogram(
            "lumyn.decide.duration", unit="s", description="From the call to the durable record."
        )
        self._failed = trace.Status(trace.StatusCode.ERROR, "the store cannot be used")

    def __call__(self, observation: Observation) -> None:
        record = observation.record
        ended_ns = time.time_ns()
        span = self._tracer.start_span(_SPAN, start_time=ended_ns - observation.elapsed_ns)
        if span.is_recording():
            span.set_attributes(
                {
                    "lumyn.decision_id": record.decision_id,
                    "lumyn.verdict": record.verdict.value,
                    "lumyn.reason_codes": record.reason_codes,
                    "lumyn.permits": record.permits,
                    "lumyn.persisted": record.persisted,
                    "lumyn.repeated": observation.repeated,
                    "lumyn.policy.id": record.policy_id,
                    "lumyn.policy.version": record.policy_version,
                    "lumyn.policy.hash": record.policy_hash,
                }
            )
            if not (record.persisted or record.dry_run):
                span.set_status(self._failed)
        span.end(end_time=ended_ns)
        # Few values each: action types and tenants come from requests, and would make series without end.
        kinds = {"lumyn.verdict": record.verdict.value, "lumyn.policy.id": record.policy_id}
        self._decisions.add(1, {**kinds, "lumyn.repeated": observation.repeated})
        self._duration.record(observation.elapsed_ns / 1_000_000_000, kinds)
