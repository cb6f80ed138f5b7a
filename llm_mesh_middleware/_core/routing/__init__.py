"""The compiled configuration: virtual hosts, rules, matches."""
