"""Readers and tools for models packed by crvq, in plain Python.

`crvq.packed` decodes a packed directory with numpy and safetensors alone. `crvq.transformers_loader` makes a model for
transformers of one. `crvq.gguf_checkpoint` and `crvq.tokens` are behind scripts/fetch-model and scripts/tokenize.
"""
