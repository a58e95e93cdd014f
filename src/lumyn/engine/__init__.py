"""The engine: facts, the two evaluators, similarity. Pure functions of a policy, a request and a memory snapshot."""
