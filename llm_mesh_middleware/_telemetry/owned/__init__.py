"""Cheaper spans and histograms, where this package has set the SDK up itself.

The SDK supports any instrument and any processor. Where `setup_telemetry` has created the
providers, their contents are known, and the same points and spans take a tenth of the work:

    registry      which providers are ours, and what to use in place of the SDK's own
    adoption      whether a provider is as plain as this needs it; else the SDK's ordinary way
    histograms    aggregated here, added to what each reader collects
    late_spans    notes until they are exported
    handover      the processors of a provider, and what they export notes by
    otlp/         notes and points as the bytes that a collector is sent

Nothing but `registry` is imported before an SDK is there. Views do not apply to these histograms,
and they have no exemplars: a provider that has views, or is asked for exemplars, is not adopted.
"""
