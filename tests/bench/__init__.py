"""The measurements themselves, held small."""
