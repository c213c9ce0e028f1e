"""Files: atomic writes, row files, strict YAML; progress of long work."""
