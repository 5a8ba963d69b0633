"""Jobs for worker processes: their types, dispatch, and the worker's main loop."""
