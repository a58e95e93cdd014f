"""Spans and measures for OpenTelemetry: what they say, that they say nothing else, and that none are needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from telemetry.conftest import SECRET, request

from lumyn import Gate, InvalidConfigError
from lumyn.telemetry.tracing import DecisionSpans

Watched = Callable[..., Gate]


class Sdk:
    """An SDK whose exports stay in memory."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider(metric_readers=[self.reader])

    def observer(self) -> DecisionSpans:
        return DecisionSpans(tracers=self.tracers, meters=self.meters)

    def points(self, name: str) -> list[NumberDataPoint | HistogramDataPoint]:
        data = self.reader.get_metrics_data()
        found: list[NumberDataPoint | HistogramDataPoint] = []
        for resource in data.resource_metrics if data else []:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            if isinstance(point, (NumberDataPoint, HistogramDataPoint)):
                                found.append(point)
        return found


def test_the_span_of_a_decision(watched: Watched) -> None:
    """A child of what the application was doing, of the time it took, with the outcome and no more."""
    sdk = Sdk()
    gate = watched(sdk.observer())
    with sdk.tracers.get_tracer("application").start_as_current_span("refund"):
        record = gate.decide(request())
    span, parent = sdk.spans.get_finished_spans()
    assert ("lumyn.decide", "refund") == (span.name, parent.name)
    assert span.parent is not None
    assert parent.context is not None
    assert parent.context.span_id == span.parent.span_id
    assert None not in (span.start_time, span.end_time)
    assert (parent.start_time or 0) <= (span.start_time or 0) < (span.end_time or 0) <= (parent.end_time or 0)
    assert {
        "lumyn.decision_id": record.decision_id,
        "lumyn.verdict": "TRUST",
        "lumyn.reason_codes": ("REFUND_SMALL_LOW_RISK",),
        "lumyn.permits": True,
        "lumyn.persisted": True,
        "lumyn.repeated": False,
        "lumyn.policy.id": "watched",
        "lumyn.policy.version": "1.0.0",
        "lumyn.policy.hash": gate.policy.policy_hash,
    } == dict(span.attributes or {})
    assert SECRET not in span.to_json()


def test_a_store_that_cannot_be_used_is_an_error(watched: Watched) -> None:
    sdk = Sdk()
    watched(sdk.observer(), create=False).decide(request())
    (span,) = sdk.spans.get_finished_spans()
    assert trace.StatusCode.ERROR is span.status.status_code


def test_decisions_are_counted_and_timed(watched: Watched) -> None:
    sdk = Sdk()
    gate = watched(sdk.observer())
    for each in (request(), request(), request(request_id="other", evidence={})):
        gate.decide(each)
    counted = {
        (point.attributes or {})["lumyn.verdict"]: point.value
        for point in sdk.points("lumyn.decisions")
        if isinstance(point, NumberDataPoint) and not (point.attributes or {})["lumyn.repeated"]
    }
    assert {"TRUST": 1, "ESCALATE": 1} == counted
    timed = [point for point in sdk.points("lumyn.decide.duration") if isinstance(point, HistogramDataPoint)]
    assert 3 == sum(point.count for point in timed)
    assert all(0 < point.sum < 60 for point in timed)


def test_without_opentelemetry_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(InvalidConfigError) as refused:
        DecisionSpans()
    assert ["DEPENDENCY_MISSING"] == [problem.code for problem in refused.value.problems]
    assert "pip install opentelemetry-sdk" in str(refused.value.problems[0].hint)


def test_deciding_does_not_load_opentelemetry() -> None:
    """Who does not ask for it does not pay for it."""
    code = "import sys, lumyn.core.decide; print([m for m in sys.modules if m.split('.')[0] in ('opentelemetry',)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
