"""Files: saved runs and checks, data, TOML, schemas; validated when read, written whole."""
