"""Files: saved runs and checks, data, TOML, schemas; read with suspicion, written whole."""
