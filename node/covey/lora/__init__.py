"""Base models, data, LoRA training, scoring and the safe loading of strangers' adapters.

Light modules (``digest``, ``bases``, ``data``, ``icd10``, ``format``, ``safe``, ``shapes``) do not import torch and
may be used by the daemon; the rest runs inside worker processes (``python -m covey.lora.jobs.worker``).
"""
