"""What networks predict on test clips, as pictures and animations."""
