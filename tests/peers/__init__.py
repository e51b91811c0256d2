"""Programs that adapters are tested against, each in a virtual environment of its own."""
