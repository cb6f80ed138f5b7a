"""Cheaper spans and histograms, where this package has set the SDK up itself.

The SDK supports any instrument and any processor. Where `setup_telemetry` has created the
providers, their configuration is known, and the same points and spans take a tenth of the work:

    registry          the adopted providers, and the replacements of their tracers and instruments
    adoption          checks whether a provider is simple enough; otherwise the SDK does the work
    histograms        aggregated here, added to what each reader collects
    deferred_spans    the fields of a span, until it is exported
    deferred_tracer   makes them, with ids from `ids`
    handover          the processors of a provider, and the exporters of deferred spans
    otlp/             spans and points as the bytes that are sent to a collector

Only `registry` is imported before an SDK is set up. Views do not apply to these histograms, and
they have no exemplars: a provider with views, or with exemplars enabled, is not adopted.
"""
