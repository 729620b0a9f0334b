"""What tests/run is made of: building, running and counting; the tools that look at the code."""
