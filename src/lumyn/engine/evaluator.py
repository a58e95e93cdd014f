"""
The two evaluators under one name: compiled for decisions, traced for explanations, one meaning.
Must not add to either; `lumyn.engine.compiled` and `lumyn.engine.trace` define them.
"""

from __future__ import annotations

from lumyn.engine.compiled import ActionPlan, CompiledPolicy, compile_policy
from lumyn.engine.trace import trace, trace_facts

__all__ = ["ActionPlan", "CompiledPolicy", "compile_policy", "trace", "trace_facts"]
