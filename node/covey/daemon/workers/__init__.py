"""Worker processes for training and scoring, background threads, and retry delays."""
