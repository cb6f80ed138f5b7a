"""The spelling of single values in manifests and variables: durations, quantities, labels."""
