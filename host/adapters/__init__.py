"""What ports are bound to: storage, files and the operating system."""
