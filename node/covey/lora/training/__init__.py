"""LoRA training on one machine."""
