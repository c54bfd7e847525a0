"""The desk in the browser: pages over views; every rule is asked of the domain."""
