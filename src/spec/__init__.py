"""What to score: one TOML file, parsed into frozen models.

`model.py` is the shape of a spec, `load.py` finds and reads one, `durations.py` reads "30d" and
"30m", `expressions.py` says which SQL expressions a spec may hold. The built-in specs are the
`.toml` files beside this map.
"""
