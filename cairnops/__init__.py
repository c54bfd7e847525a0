"""Rehearse customer-support escalations and keep evidence that can be checked offline."""

from typing import Any

__version__ = "0.1.0"

#: What a notebook may use, by name: where it comes from. Loaded when first asked for, so that importing is free.
_PUBLIC = {
    "CairnError": ("cairnops.errors", "CairnError"),
    "Trust": ("cairnops.evidence.proofs", "Trust"),
    "charts": ("cairnops.evidence.charts", ""),
    "conversations": ("cairnops.analytics.conversations", "rows"),
    "latency": ("cairnops.analytics.latency", "measure"),
    "load": ("cairnops.analytics.inputs", "load"),
    "practice": ("cairnops.analytics.practice", "measure"),
    "profile": ("cairnops.domain.policy", "profile"),
    "read_export": ("cairnops.analytics.frames", "read_export"),
    "reconcile": ("cairnops.evidence.reconcile", "reconcile"),
    "sla": ("cairnops.analytics.sla", "measure"),
    "summarize": ("cairnops.analytics.summary", "summarize"),
    "verify_export": ("cairnops.evidence.proofs", "verify_export"),
}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, inner = _PUBLIC[name]
    found = import_module(module)
    return getattr(found, inner) if inner else found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
