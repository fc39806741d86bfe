"""TensorFlow Lite: reading its files, writing them, and what lies between them and ONNX."""
