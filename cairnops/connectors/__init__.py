"""The outside world: the help desk, its simulator, and the worker that delivers effects to it."""
