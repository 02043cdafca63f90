"""Traces an ONNX file: the output of every node that depends on the inputs, by onnxruntime.

A file is data. Nothing of it is code: operators are those of onnxruntime, without libraries of
others, and data outside the file are read from its folder only.
"""
