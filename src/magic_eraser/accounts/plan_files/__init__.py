"""Plans as an operator writes them. Read `plan_file`, then `plan_keys` (one plan), `faults` and `toml_lines`."""
