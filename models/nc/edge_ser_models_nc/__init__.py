"""Model files for non-commercial use; edge-ser finds them by this distribution's entry point."""
