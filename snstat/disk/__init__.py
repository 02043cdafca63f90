"""Text on disk: TOML read with suspicion, files written whole or not at all."""
