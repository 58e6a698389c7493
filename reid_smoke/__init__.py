"""Go or No-Go for a re-identification training within 300 steps, with the cause and its mend."""

__version__ = "0.1.0"
