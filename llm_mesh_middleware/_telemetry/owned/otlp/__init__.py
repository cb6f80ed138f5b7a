"""OTLP as bytes, without an object for each field: what our own spans and metrics are exported as.

    wire       fields of protobuf, and values and attributes as `AnyValue` and `KeyValue`
    scopes     resources and instrumentation scopes, each encoded once
    spans      `ExportTraceServiceRequest`
    points     `ExportMetricsServiceRequest`
    session    hands such a body to the exporter of OpenTelemetry, which sends it as it does its own

The numbers of fields are those of `opentelemetry/proto/` in version 1. Decoded, the bytes are what
the SDK's exporter would have sent.
"""
