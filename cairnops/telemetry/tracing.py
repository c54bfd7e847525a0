"""Which steps of an action are spans: submit, commit and deliver, in one trace, with few attributes and nobody's words.

Nothing of OpenTelemetry is loaded until somebody starts it, and without it every span is nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

#: What a span may say, and of which kind: codes, numbers and ids of ours. A text longer than this is cut.
SAYS = {
    "action": str, "outcome": str, "code": str, "decision": int, "effects": int, "effect": str, "kind": str,
    "attempt": int, "look": bool, "error": str,
}  # fmt: skip
_LONGEST = 60

_tracer: Any = None


class Step:
    """A step that is under way; says nothing where nobody listens."""

    def __init__(self, span: Any = None):
        self._span = span

    def say(self, **attributes: str | int | bool) -> None:
        """Add what is known only now; see `SAYS`."""
        if self._span is not None:
            self._span.set_attributes(_told(attributes))


@contextmanager
def step(name: str, *, after: str = "", **attributes: str | int | bool) -> Iterator[Step]:
    """A span around what is done inside; `after` is what `carried` gave in the step this one follows from."""
    if _tracer is None:
        yield Step()
        return
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": after}) if after else None
    with _tracer.start_as_current_span(
        f"cairnops.{name}",
        context=context,
        attributes=_told(attributes),
        # The words of an error may be a customer's.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield Step(span)
        except BaseException as error:
            span.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
            raise


def carried() -> str:
    """The step at hand, as another process takes it up (a W3C `traceparent`); empty where nobody listens."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def use(provider: Any) -> None:
    """Give spans to that tracer provider from here on; None: to nobody."""
    global _tracer
    _tracer = None if provider is None else provider.get_tracer("cairnops")


def start(service: str, version: str, headers: str = "") -> Callable[[], None]:
    """Send spans to where OTEL_EXPORTER_OTLP_ENDPOINT says; returns what sends the last of them.

    `headers` are `name=value` pairs with commas between, percent-encoded.

    Raises:
        ImportError: when the `otel` extra is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": f"cairnops-{service}", "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    pairs = (pair.partition("=") for pair in headers.split(",") if pair)
    exporter = OTLPSpanExporter(headers={name: unquote(value) for name, _, value in pairs} or None)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    use(provider)

    def stop() -> None:
        use(None)
        provider.shutdown()

    return stop


def _told(attributes: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in attributes.items():
        kind = SAYS[name]
        out[f"cairnops.{name}"] = kind(value)[:_LONGEST] if kind is str else kind(value)
    return out
