"""The benchmark: stages, statistics, memory, energy and conditions of one model on one machine."""
