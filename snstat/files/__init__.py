"""Files: saved runs and checks, data, schemas; validated when read, written whole."""
