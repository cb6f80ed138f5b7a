"""OTLP as bytes, without an object for each field: the form in which our spans and metrics leave.

    wire       fields of protobuf, and values and attributes as `AnyValue` and `KeyValue`
    scopes     resources and instrumentation scopes, each encoded once
    spans      `ExportTraceServiceRequest`
    points     `ExportMetricsServiceRequest`
    session    passes such a body to OpenTelemetry's exporter, which sends it like its own

The numbers of fields are those of `opentelemetry/proto/` in version 1. Decoded, the bytes are what
the SDK's exporter would have sent.
"""
