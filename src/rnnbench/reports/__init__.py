"""Records -> pandas -> tables for people. Imports no torch, so that every command here starts in about a second."""
