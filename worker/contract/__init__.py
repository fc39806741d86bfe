"""What the service and the workers say to each other: options, requests and jobs.

Light: no image or tensor library. What crosses the queue is a pydantic model, because it is checked
again where it arrives; what is handed out inside a process is a frozen dataclass.
"""
