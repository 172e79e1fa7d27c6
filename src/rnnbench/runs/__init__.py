"""ONE run: config -> objects -> record. The only room that imports hydra and that instantiates."""
