"""The report as a whole: chapters, what was found, and how it is written."""
