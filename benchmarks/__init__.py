"""What slugkit costs, as ratios to what people would use instead, measured in turn on one machine.

``python -m benchmarks NAME [--json]``; each figure is a module of its own. No test fails on a time.
"""
