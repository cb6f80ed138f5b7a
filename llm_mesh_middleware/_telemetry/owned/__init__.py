"""Cheaper spans and histograms than the SDK makes, where nobody can tell them apart.

The SDK supports any instrument and any processor. The spans of a plain provider, also that of an
application, are made here; where `setup_telemetry` has created the providers, their configuration
is known, and histograms and exports are ours, too:

    registry          the adopted providers, and the replacements of their tracers and instruments
    adoption          checks whether a provider of ours is simple enough; else the SDK does the work
    histograms        aggregated here, added to what each reader collects
    tracers           checks whether the tracers of any provider can be replaced
    deferred_tracer   makes spans, with ids from `ids`
    deferred_spans    the fields of a span, until it is exported
    handover          the processors of a provider, and the exporters of deferred spans
    otlp/             spans and points as the bytes that are sent to a collector

Only `registry` is imported before an SDK is set up. Views do not apply to these histograms, and
they have no exemplars: a provider with views, or with exemplars enabled, is not adopted.
"""
