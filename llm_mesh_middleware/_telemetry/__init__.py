"""OpenTelemetry: the only package that imports it.

The mesh calls the API; an SDK is set up by the application, or by `setup_telemetry`. Names are in
`semconv`, because the conventions for generative AI left the SDK's own package.

`Telemetry` is the observer of a mesh. It makes one `CallObservation` for a call, whose hooks are
called in this order:

    hook         what is known then       what is recorded
    -----------  -----------------------  ---------------------------------------------------------
    (created)    the request              active requests
    understood   operation, body, model
    selected     route, rule
    sending      upstream, model          at the first: SERVER and CLIENT span begin; at each: trace
                                          headers, and the attempt's span if it has one
    answered     status or failure        attempts; the attempt's span ends
    replying     which attempt is served  time to the first chunk
    chunks       number of chunks         time per chunk, with LLM_MESH_CHUNK_METRICS only
    summarised   model, id, reasons
    ended        status, error, usage     the spans end, metrics, access record

`GuardedObserver` logs what a hook raises. A failure inside `CallObservation` is kept until `ended`
has recorded what it still can, and raised then.

    telemetry  call  guard     the observer, one call, the guard
    progress  ending  sinks    the state of a call, its end, the destinations of its telemetry
    spans/                     spans, their attributes, trace context
    metrics/                   instruments, attribute sets, counters of our own
    records/                   access records, events, content
    setup                      the SDK of a process that has no other owner of it
"""
