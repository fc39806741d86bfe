"""Networks and foreign weights to ONNX, each compared with its origin."""
