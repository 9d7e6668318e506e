"""Events across processes: the gateway to the outbox, its publisher and its listener."""
