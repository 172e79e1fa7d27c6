"""What datasets of frames share: the task, its metrics and floors, sprites and real films."""
