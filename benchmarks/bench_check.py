"""
Checking a valid request: the function generated from the schema, against a kept `jsonschema` validator.

    python benchmarks/bench_check.py [--rounds 15] [--check]
"""

from __future__ import annotations

import json
import statistics

from common import arguments, interleaved, microseconds, report, requests
from jsonschema import Draft202012Validator

from lumyn import _resources
from lumyn.digest import freeze
from lumyn.documents.schema import checker

SCHEMA = "decision_request.v0.schema.json"


def main() -> int:
    options = arguments("checking a valid request", rounds=15)
    valid = [freeze(request) for request in requests(100)]
    kept = Draft202012Validator(json.loads(_resources.schema_path(SCHEMA).read_text(encoding="utf-8")))
    generated = checker(SCHEMA)
    if not all(generated(request) and kept.is_valid(request) for request in valid):
        raise SystemExit("the requests are meant to be valid")
    contenders = {
        "generated checker": lambda _: [generated(request) for request in valid],
        "kept jsonschema validator": lambda _: [kept.is_valid(request) for request in valid],
    }
    times = interleaved(contenders, rounds=options.rounds)
    for name, seconds in times.items():
        print(f"{name:28}{microseconds(seconds, per=len(valid)):9.1f} us")
    ratio = statistics.median(times["generated checker"]) / statistics.median(times["kept jsonschema validator"])
    met = report("generated checker / kept jsonschema validator", ratio, 0.1)
    return 1 if options.check and not met else 0


if __name__ == "__main__":
    raise SystemExit(main())
