"""OpenTelemetry: the only package that imports it.

The mesh calls the API; an SDK is set up by the application, or by `setup_telemetry`. Names are in
`semconv`, because the conventions for generative AI left the SDK's own package.
"""
