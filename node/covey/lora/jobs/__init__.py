"""Jobs of worker processes: their types, their messages, and the code that runs them."""
