"""What runs in production: numpy, OpenCV and ONNX Runtime."""
