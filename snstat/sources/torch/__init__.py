"""Traces of PyTorch modules. Only this folder imports torch: call `require_torch` first."""
