"""The compiled configuration: virtual hosts, rules, conditions."""
