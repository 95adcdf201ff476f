"""Your workflows. The functions import every module in this package, so adding a file adds its workflows."""
