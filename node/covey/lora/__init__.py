"""Base models, training data, LoRA training, scoring, and loading of adapters from untrusted files.

Folders import downwards only: ``jobs`` imports ``training`` and ``scoring``; those import ``adapters``, ``data`` and
``bases``. Only ``adapters.model``, ``bases.load``, ``loss``, ``training`` and ``scoring.score`` import torch. They run
in worker processes (``python -m covey.lora.jobs.worker``); the daemon does not import them.
"""
