"""The HTTP service: the gate behind routes, with signed requests. Needs the extra `service`."""
