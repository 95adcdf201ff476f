"""The deterministic core: histories in, decisions out. No I/O, no clock, no threads, no cloud."""
